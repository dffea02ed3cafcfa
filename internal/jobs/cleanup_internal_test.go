package jobs

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/latchkey-sessions/latchkey/cleanup"
)

// slowly has rows to remove that were due long ago. Each batch takes a second of made-up time.
type slowly struct{ left, batches int }

func (s *slowly) FindDue(_ context.Context, _ cleanup.Rule, limit int) (cleanup.Due, error) {
	return cleanup.Due{IDs: make([]uuid.UUID, min(s.left, limit)), Overdue: 1000 * time.Hour}, nil
}

func (s *slowly) RemoveDue(_ context.Context, _ cleanup.Rule, ids []uuid.UUID, _ time.Duration) (cleanup.Removed, error) {
	time.Sleep(time.Second)
	s.left -= len(ids)
	s.batches++
	return cleanup.Removed{Sessions: int64(len(ids)), Pairs: int64(len(ids)), Took: 2 * time.Millisecond}, nil
}

func (*slowly) CountDue(context.Context, cleanup.Rule) (int64, error) { return 0, nil }

func (*slowly) OldestEnded(context.Context) (time.Time, error) { return time.Time{}, nil }

// A leg of a run that began hours ago rests less than one of a run that has just begun.
func TestLegsOfALongRunCatchUp(t *testing.T) {
	t.Parallel()
	for began, want := range map[time.Duration]float64{0: 4, 7 * time.Hour: 2, 25 * time.Hour: 0.25} {
		synctest.Test(t, func(t *testing.T) {
			store := &slowly{left: 800} // as many as the first search looks for
			w := &cleanupWorker{cfg: Config{Sessions: store, Logger: slog.New(slog.DiscardHandler), Observer: nobody{}}}
			start := time.Now()
			job := &river.Job[cleanupArgs]{JobRow: &rivertype.JobRow{CreatedAt: start.Add(-began)}}
			if err := w.Work(t.Context(), job); err != nil || store.left != 0 {
				t.Errorf("%d are left: %v", store.left, err)
			}
			if rest := time.Since(start).Seconds()/float64(store.batches) - 1; rest != want {
				t.Errorf("a leg of a run that began %v ago rested for %v of its work, want %v", began, rest, want)
			}
		})
	}
}
