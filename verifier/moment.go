package verifier

import (
	"math"
	"time"
)

// Moment is one point of time on two clocks. Neither is enough: a monotonic
// clock stands still while a machine sleeps, and a wall clock can be set.
type Moment struct {
	// Mono is the monotonic clock: the time since some fixed point of this
	// process.
	Mono time.Duration
	// Wall is the wall clock.
	Wall time.Time
}

var started = time.Now()

// Now reads both clocks of the machine.
func Now() Moment {
	now := time.Now()
	return Moment{Mono: now.Sub(started), Wall: now.Round(0)}
}

// IsZero reports whether this is the zero Moment.
func (m Moment) IsZero() bool { return m == Moment{} }

// Add returns the moment d later.
func (m Moment) Add(d time.Duration) Moment {
	return Moment{Mono: m.Mono + d, Wall: m.Wall.Add(d)}
}

// Since returns how much time has passed since an earlier moment, on the clock
// that shows more. So neither a machine that slept nor a wall clock that was
// set back makes something look younger than it is.
func (m Moment) Since(earlier Moment) time.Duration {
	return max(m.Mono-earlier.Mono, m.Wall.Sub(earlier.Wall))
}

// toSeconds fits a time in seconds since 1970 into 32 bits.
func toSeconds(t int64) uint32 {
	return uint32(max(0, min(t, math.MaxUint32)))
}
