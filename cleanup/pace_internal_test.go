package cleanup

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		size   pace
		tried  int
		work   time.Duration
		gaveUp bool
		want   pace
	}{
		"quick: a quarter more":                  {100, 100, 1 * ms, false, 125},
		"the least that it grows":                {10, 10, ms, false, 13},
		"as it should be":                        {100, 100, 2 * ms, false, 100},
		"at the target":                          {100, 100, 3 * ms, false, 100},
		"slow: halved":                           {100, 100, 4 * ms, false, 50},
		"very slow: halved":                      {100, 100, 4 * time.Second, false, 50},
		"given up, however quickly":              {100, 100, 0, true, 50},
		"half, rounded down":                     {25, 25, time.Second, false, 12},
		"not below the least":                    {12, 12, time.Second, true, 10},
		"not above the most":                     {4900, 4900, ms, false, 5000},
		"the last ids that were found, quick":    {100, 7, ms, false, 100},
		"the last ids that were found, but slow": {100, 60, time.Second, false, 30},
	} {
		if got := c.size.after(c.tried, c.work, c.gaveUp); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// A database with a given rate soon gets batches that take between half
// the target and all of it, whatever the pace was before.
func TestPaceSettles(t *testing.T) {
	t.Parallel()
	for _, perSecond := range []int{5000, 9000, 40_000, 100_000} {
		for _, size := range []pace{minBatch, firstBatch, maxBatch} {
			p := size
			for range 30 {
				p = p.after(int(p), time.Duration(p)*time.Second/time.Duration(perSecond), false)
			}
			if took := time.Duration(p) * time.Second / time.Duration(perSecond); took < target/2 || took > target {
				t.Errorf("%d a second, from %d on: batches of %d, which take %v", perSecond, size, p, took)
			}
		}
	}
}

func TestRest(t *testing.T) {
	t.Parallel()
	const h = time.Hour
	for _, c := range []struct{ running, overdue, want time.Duration }{
		{0, 0, 400},
		{5 * h, 5 * h, 400},
		{6 * h, 6 * h, 200},
		{12 * h, 17 * h, 100},
		{19 * h, 18 * h, 50},
		{24 * h, 24 * h, 25},
		{1000 * h, 1000 * h, 25},
		{0, 1000 * h, 400},  // it was left for this run
		{1000 * h, 0, 400},  // it keeps up
		{-1000 * h, 0, 400}, // by the clock of another replica it has not begun
		{-7 * h, 1000 * h, 400},
		{1000 * h, -7 * h, 400},
	} {
		if got := restAfter(100, lateness(c.running, c.overdue)); got != c.want {
			t.Errorf("running for %v, overdue for %v: it rests for %d, want %d", c.running, c.overdue, got, c.want)
		}
	}
}
