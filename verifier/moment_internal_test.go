package verifier

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Both clocks are read: the monotonic one continues, and the wall clock is without it.
func TestNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		before := Now()
		time.Sleep(time.Hour)
		now := Now()
		if passed := now.Mono - before.Mono; passed != time.Hour {
			t.Errorf("%v have passed on the monotonic clock", passed)
		}
		if !now.Wall.Equal(time.Now()) || strings.Contains(now.Wall.String(), "m=") {
			t.Errorf("the wall clock shows %v", now.Wall)
		}
	})
	if (Moment{Mono: 1}).IsZero() || (Moment{Wall: time.Unix(0, 0)}).IsZero() || !(Moment{}).IsZero() {
		t.Error("a moment is zero that is not, or the zero one is not")
	}
}

// A time is the nearest one that fits.
func TestToSeconds(t *testing.T) {
	t.Parallel()
	for at, want := range map[int64]uint32{
		math.MinInt64: 0, -1: 0, 0: 0, 1: 1, math.MaxUint32: math.MaxUint32, math.MaxUint32 + 1: math.MaxUint32, math.MaxInt64: math.MaxUint32,
	} {
		if got := toSeconds(at); got != want {
			t.Errorf("%d is %d, want %d", at, got, want)
		}
	}
}
