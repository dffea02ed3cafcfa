package dbclock_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/dbclock"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestUnknownBeforeATimeIsTold(t *testing.T) {
	t.Parallel()
	var c dbclock.Clock
	if _, known := c.At(0); known {
		t.Error("a clock that was told nothing shows a time")
	}
	if c.Learn(epoch, 2*time.Second, time.Second); isKnown(&c) {
		t.Error("an answer before its question was believed")
	}
}

func isKnown(c *dbclock.Clock) bool {
	_, known := c.At(0)
	return known
}

// Whatever the network does, the true time lies within the uncertainty, even while
// the database's clock drifts.
func TestTrueTimeIsWithinTheUncertainty(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(1, 2))
	for trial := range 200 {
		var c dbclock.Clock
		rate := 1 + (dice.Float64()*2-1)*400e-6
		truth := func(mono time.Duration) time.Time { return epoch.Add(time.Duration(float64(mono) * rate)) }
		learnt := false
		for now := time.Duration(0); now < 10*time.Minute; {
			now += time.Duration(dice.Int64N(int64(5 * time.Second)))
			if r, _ := c.At(now); learnt && r.Now.Sub(truth(now)).Abs() > r.Uncertainty {
				t.Fatalf("trial %d: off by %v with an uncertainty of %v", trial, r.Now.Sub(truth(now)), r.Uncertainty)
			}
			asked := now
			told := asked + time.Duration(dice.Int64N(int64(time.Second)))
			now = told + time.Duration(dice.Int64N(int64(time.Second)))
			c.Learn(truth(told), asked, now)
			learnt = true
		}
	}
}

// The more exact of two answers counts, until it has grown old.
func TestExactAnswerIsKept(t *testing.T) {
	t.Parallel()
	var c dbclock.Clock
	c.Learn(epoch, 0, 2*time.Millisecond)
	c.Learn(epoch.Add(3*time.Second), 2*time.Second, 4*time.Second)
	r, _ := c.At(4 * time.Second)
	if want := epoch.Add(4*time.Second - time.Millisecond); !r.Now.Equal(want) || r.Uncertainty > 5*time.Millisecond || r.Age != 0 {
		t.Errorf("%v, to within %v, after %v; want %v", r.Now, r.Uncertainty, r.Age, want)
	}
	r, _ = c.At(2 * time.Hour)
	if r.Age != 2*time.Hour-4*time.Second || r.Uncertainty < 3*time.Second || r.Uncertainty > 4*time.Second {
		t.Errorf("after two hours: to within %v, after %v", r.Uncertainty, r.Age)
	}
	c.Learn(epoch.Add(2*time.Hour), 2*time.Hour, 2*time.Hour+time.Second)
	if r, _ := c.At(2 * time.Hour); r.Uncertainty > 600*time.Millisecond {
		t.Errorf("after a new answer: to within %v", r.Uncertainty)
	}
}

// If the database's clock is set, either way, the new time is used at once.
func TestClockThatIsSetIsFollowed(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{-24 * time.Hour, -time.Second, time.Second, time.Hour} {
		var c dbclock.Clock
		c.Learn(epoch, 0, 2*time.Millisecond)
		c.Learn(epoch.Add(time.Second+jump), time.Second, time.Second+20*time.Millisecond)
		r, _ := c.At(2 * time.Second)
		if off := r.Now.Sub(epoch.Add(2*time.Second + jump)).Abs(); off > r.Uncertainty {
			t.Errorf("after a jump by %v it is off by %v, with an uncertainty of %v", jump, off, r.Uncertainty)
		}
	}
}
