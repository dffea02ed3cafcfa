package cleanup_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/cleanup"
)

// database removes sessions that expired at a given rate. Time is simulated.
type database struct {
	due, locked int
	each        time.Duration // for one session
	commit      time.Duration // of a batch, whatever its size
	most        int           // it gives up on larger batches, after the timeout
	batches     []int
	searches    int
	busy        time.Duration
	err         error
}

func (d *database) FindDue(_ context.Context, rule cleanup.Rule, limit int) ([]uuid.UUID, error) {
	if rule.Kind != cleanup.Expired {
		return nil, nil
	}
	d.searches++
	return make([]uuid.UUID, min(d.due, limit)), nil
}

func (d *database) RemoveDue(_ context.Context, _ cleanup.Rule, ids []uuid.UUID, timeout time.Duration) (cleanup.Removed, error) {
	d.batches = append(d.batches, len(ids))
	took, removed, err := time.Duration(len(ids))*d.each, min(len(ids), d.due-d.locked), d.err
	if d.most > 0 && len(ids) > d.most {
		took, removed, err = timeout, 0, cleanup.ErrSlow
	}
	time.Sleep(took + d.commit)
	d.busy += took + d.commit
	d.due -= removed
	return cleanup.Removed{Sessions: int64(removed), Pairs: int64(removed), Took: took}, err
}

func (d *database) CountDue(context.Context, cleanup.Rule) (int64, error) { return int64(d.due), nil }

func (*database) OldestEnded(context.Context) (time.Time, error) { return time.Time{}, nil }

func TestBatchesFollowTheDatabase(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		each, commit time.Duration
		least, most  int // sessions in most batches
	}{
		"a fast one":              {6 * time.Microsecond, 0, 250, 500},
		"a slow one":              {120 * time.Microsecond, 0, 12, 25},
		"a very slow":             {time.Second / 2, 0, 10, 10},
		"one that commits slowly": {6 * time.Microsecond, 30 * time.Millisecond, 250, 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := &database{due: int(2 * time.Minute / c.each), each: c.each, commit: c.commit}
				began := time.Now()
				got, err := cleanup.Run(t.Context(), d, cleanup.Config{})
				if err != nil || d.due != 0 || got.Batches != len(d.batches) {
					t.Errorf("%+v, %v", got, err)
				}
				slices.Sort(d.batches)
				if median := d.batches[len(d.batches)/2]; median < c.least || median > c.most {
					t.Errorf("batches of %d, want between %d and %d", median, c.least, c.most)
				}
				if share := float64(d.busy) / float64(time.Since(began)); share > 0.201 || share < 0.19 {
					t.Errorf("it kept a connection busy for %.2f of the time", share)
				}
				if 10*d.searches > len(d.batches)+20 {
					t.Errorf("%d searches for %d batches", d.searches, len(d.batches))
				}
			})
		})
	}
}

// A run that lasts for hours pauses less, so that it catches up even if sessions end faster than the usual pace
// removes them.
func TestLongRunsCatchUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const each, hours = time.Second / 2, 20
		d := &database{due: int(hours * time.Hour / each / 2), each: each}
		busyAt := map[time.Duration]time.Duration{} // by the hour
		cfg := cleanup.Config{Progress: func(s cleanup.Summary) { busyAt[s.Duration.Truncate(time.Hour)] = d.busy }}
		if _, err := cleanup.Run(t.Context(), d, cfg); err != nil || d.due != 0 {
			t.Errorf("%d are left, %v", d.due, err)
		}
		within := func(from, to time.Duration) float64 { return float64(busyAt[to]-busyAt[from]) / float64(to-from) }
		if at := within(time.Hour, 5*time.Hour); at < 0.19 || at > 0.21 {
			t.Errorf("it kept a connection busy for %.2f of the first hours", at)
		}
		if at := within(7*time.Hour, 11*time.Hour); at < 0.79 || at > 0.81 {
			t.Errorf("it kept a connection busy for %.2f of the time after six hours", at)
		}

		d = &database{due: 1000, each: each}
		began := time.Now()
		if _, err := cleanup.Run(t.Context(), d, cleanup.Config{Began: began.Add(-7 * time.Hour)}); err != nil {
			t.Error(err)
		}
		if share := float64(d.busy) / float64(time.Since(began)); share < 0.79 || share > 0.81 {
			t.Errorf("a later part of a long run kept a connection busy for %.2f of the time", share)
		}
	})
}

// A batch that the database gives up on is tried again, smaller.
func TestDatabaseGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &database{due: 300, each: time.Microsecond, most: 30}
		got, err := cleanup.Run(t.Context(), d, cleanup.Config{})
		if err != nil || got.Expired != 300 {
			t.Errorf("%+v, %v", got, err)
		}
		if diff := cmp.Diff([]int{100, 50, 25, 32, 16, 20, 25}, d.batches[:7]); diff != "" {
			t.Error(diff)
		}
		d = &database{due: 300, each: time.Microsecond, most: 1}
		if got, err := cleanup.Run(t.Context(), d, cleanup.Config{}); !errors.Is(err, cleanup.ErrSlow) || got.Expired != 0 {
			t.Errorf("%+v, %v", got, err)
		}
		if diff := cmp.Diff([]int{100, 50, 25, 12, 10}, d.batches); diff != "" {
			t.Error(diff)
		}
	})
}

// Rows that stay locked are left for the next run.
func TestLockedForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &database{due: 10_000, locked: 4000, each: time.Millisecond}
		if got, err := cleanup.Run(t.Context(), d, cleanup.Config{}); err != nil || got.Expired != 6000 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestOtherErrorsEndIt(t *testing.T) {
	t.Parallel()
	d := &database{due: 10, err: errors.New("the disk is full")}
	if _, err := cleanup.Run(t.Context(), d, cleanup.Config{}); !errors.Is(err, d.err) || len(d.batches) != 1 {
		t.Errorf("%v after %v", err, d.batches)
	}
}

func TestMinutely(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var reported []time.Duration
		d := &database{due: 650_000, each: 100 * time.Microsecond}
		cfg := cleanup.Config{Progress: cleanup.Minutely(func(s cleanup.Summary) { reported = append(reported, s.Duration.Round(time.Minute)) })}
		if _, err := cleanup.Run(t.Context(), d, cfg); err != nil {
			t.Error(err)
		}
		// 65 s of work, and four times as long a rest.
		if diff := cmp.Diff([]time.Duration{1 * time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute, 5 * time.Minute}, reported); diff != "" {
			t.Error(diff)
		}
	})
}
