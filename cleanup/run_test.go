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

func (d *database) FindDue(_ context.Context, rule cleanup.Rule, limit int) (cleanup.Due, error) {
	if rule.Kind != cleanup.Expired {
		return cleanup.Due{}, nil
	}
	d.searches++
	return cleanup.Due{IDs: make([]uuid.UUID, min(d.due, limit))}, nil
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
				if 6*d.searches > len(d.batches)+20 {
					t.Errorf("%d searches for %d batches", d.searches, len(d.batches))
				}
			})
		})
	}
}

// growing is a database in which so many sessions become due at the end of each day. Time is simulated, and each session
// takes a second, so that a run that is not late removes 17,280 per day, and one that rests as little as it may 69,120.
type growing struct {
	perDay, older int // older are left from long ago
	began         time.Time
	removed       int
	busy          time.Duration
	late          time.Duration // how long any session has been due for at most
}

// due is how many have become due so far.
func (g *growing) due() int { return g.older + g.perDay*int(time.Since(g.began)/day) }

// overdue is how long one of them has been.
func (g *growing) overdue(session int) time.Duration {
	if session < g.older {
		return 1000 * day
	}
	return time.Since(g.began) - day*time.Duration(1+(session-g.older)/g.perDay)
}

func (g *growing) FindDue(_ context.Context, rule cleanup.Rule, limit int) (cleanup.Due, error) {
	found := min(g.due()-g.removed, limit)
	if rule.Kind != cleanup.Expired || found == 0 {
		return cleanup.Due{}, nil
	}
	g.late = max(g.late, g.overdue(max(g.removed, g.older)))
	return cleanup.Due{IDs: make([]uuid.UUID, found), Overdue: g.overdue(g.removed + found - 1)}, nil
}

func (g *growing) RemoveDue(_ context.Context, _ cleanup.Rule, ids []uuid.UUID, _ time.Duration) (cleanup.Removed, error) {
	took := time.Duration(len(ids)) * time.Second
	time.Sleep(took)
	g.busy += took
	g.removed += len(ids)
	return cleanup.Removed{Sessions: int64(len(ids)), Took: took}, nil
}

func (*growing) CountDue(context.Context, cleanup.Rule) (int64, error) { return 0, nil }

func (*growing) OldestEnded(context.Context) (time.Time, error) { return time.Time{}, nil }

// days has a run begin every day, or when the last one is over, until so many days have passed. It returns how much of
// an hour in a run a connection was busy at most.
func (g *growing) days(t *testing.T, n int) (most float64) {
	t.Helper()
	g.began = time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*day-time.Second)
	defer cancel()
	var at time.Time
	var busy time.Duration
	look := func(cleanup.Summary) {
		if passed := time.Since(at); passed >= time.Hour {
			most = max(most, float64(g.busy-busy)/float64(passed))
			at, busy = time.Now(), g.busy
		}
	}
	for next := g.began; ctx.Err() == nil; next = next.Add(day) {
		time.Sleep(time.Until(next))
		if ctx.Err() != nil {
			break
		}
		at, busy = time.Now(), g.busy
		if _, err := cleanup.Run(ctx, g, cleanup.Config{Progress: look}); err != nil && ctx.Err() == nil {
			t.Fatal(err)
		}
	}
	return most
}

// The more sessions become due, the less a run rests, so that none waits for two days.
func TestRunsKeepUp(t *testing.T) {
	t.Parallel()
	for perDay, c := range map[int]struct {
		most float64       // of an hour
		late time.Duration // at most
	}{
		1000:   {0.21, day},
		10_000: {0.34, day},
		30_000: {0.67, day},
		60_000: {0.81, 2 * day},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := &growing{perDay: perDay}
			most := g.days(t, 30)
			if most > c.most || g.late > c.late || g.due()-g.removed > 2*perDay {
				t.Errorf("%d per day: busy for %.2f of the time, late by %v, %d are left", perDay, most, g.late, g.due()-g.removed)
			}
			t.Logf("%d per day: busy for up to %.2f of the time, late by up to %v, %d are left", perDay, most, g.late, g.due()-g.removed)
		})
	}
}

// A run does not hurry because of rows that were left long before it began.
func TestOldRowsAreRemovedAtLeisure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &growing{perDay: 1000, older: 4000}
		if most := g.days(t, 2); most > 0.21 || g.removed != 4000+1000 {
			t.Errorf("busy for %.2f of the time, %d removed", most, g.removed)
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
