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

// slowly has one batch to remove, which takes a second of made-up time.
type slowly struct{ done bool }

func (s *slowly) FindDue(context.Context, cleanup.Rule, int) ([]uuid.UUID, error) {
	if s.done {
		return nil, nil
	}
	return make([]uuid.UUID, 1), nil
}

func (s *slowly) RemoveDue(context.Context, cleanup.Rule, []uuid.UUID, time.Duration) (cleanup.Removed, error) {
	time.Sleep(time.Second)
	s.done = true
	return cleanup.Removed{Sessions: 1, Pairs: 1, Took: time.Second}, nil
}

func (*slowly) CountDue(context.Context, cleanup.Rule) (int64, error) { return 0, nil }

func (*slowly) OldestEnded(context.Context) (time.Time, error) { return time.Time{}, nil }

// A leg of a run that began hours ago rests less than one of a run that has just begun.
func TestLegsOfALongRunCatchUp(t *testing.T) {
	t.Parallel()
	for began, want := range map[time.Duration]time.Duration{0: 5 * time.Second, 7 * time.Hour: time.Second + time.Second/4} {
		synctest.Test(t, func(t *testing.T) {
			w := &cleanupWorker{cfg: Config{Sessions: new(slowly), Logger: slog.New(slog.DiscardHandler), Observer: nobody{}}}
			start := time.Now()
			job := &river.Job[cleanupArgs]{JobRow: &rivertype.JobRow{CreatedAt: start.Add(-began)}}
			if err := w.Work(t.Context(), job); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took != want {
				t.Errorf("a leg of a run that began %v ago took %v, want %v", began, took, want)
			}
		})
	}
}
