package verifier

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/dbclock"
)

const (
	// maxClockSilence is how long the database's time may go without an update, and
	// maxClockUncertainty how far off the estimate may be: as far as the leeway for a
	// token's expiry.
	maxClockSilence     = time.Minute
	maxClockUncertainty = 5 * time.Second
	// warnedOffset is the offset from which a clock is worth a warning, rightOffset
	// the one up to which it counts as right again.
	warnedOffset = time.Second
	rightOffset  = warnedOffset / 2
)

// Clock is what is known about the clock of the database, which made the tokens and
// by which they expire. It continues with the monotonic clock, so setting the wall
// clock of this machine does not change it.
type Clock struct {
	// Now returns the database's time.
	Now time.Time
	// Offset is how far the wall clock of this machine is ahead of it, or behind if it
	// is negative.
	Offset time.Duration
	// Uncertainty is how far Now and Offset may be off, either way.
	Uncertainty time.Duration
	// Age is how long ago the database last gave its time.
	Age time.Duration
}

// Err says why the clock cannot be trusted, and is nil if it can.
func (c Clock) Err() error {
	switch {
	case c.Age > maxClockSilence:
		return fmt.Errorf("the database has not reported its time for %v; the limit is %v", c.Age.Round(time.Second), maxClockSilence)
	case c.Uncertainty > maxClockUncertainty:
		return fmt.Errorf("the database's time is known only to within %v; the limit is %v", c.Uncertainty.Round(time.Millisecond), maxClockUncertainty)
	}
	return nil
}

// databaseClock is the database's clock, as far as a set or another caller has
// learned its time.
type databaseClock struct {
	dbclock.Clock
	now    func() Moment
	logger *slog.Logger
	// warned is guarded by the set's mutex.
	warned bool
}

func (c *databaseClock) read() (Clock, bool) {
	now := c.now()
	r, known := c.At(now.Mono)
	if !known {
		return Clock{}, false
	}
	return Clock{Now: r.Now, Offset: now.Wall.Sub(r.Now), Uncertainty: r.Uncertainty, Age: r.Age}, true
}

// time returns the database's time or, while that is unknown, the wall clock's.
func (c *databaseClock) time() time.Time {
	now := c.now()
	if r, known := c.At(now.Mono); known {
		return r.Now
	}
	return now.Wall
}

// or returns the database's time or, while that is unknown, another clock's.
func (c *databaseClock) or(other func() time.Time) func() time.Time {
	if other == nil {
		return c.time
	}
	return func() time.Time {
		if r, known := c.At(c.now().Mono); known {
			return r.Now
		}
		return other()
	}
}

// learn takes a time that the database has given since a moment.
func (c *databaseClock) learn(told time.Time, since Moment) {
	now := c.now().Mono
	// If the machine slept, a moment from elsewhere may appear later than now.
	c.Learn(told, min(since.Mono, now), now)
}

// watch logs when the wall clock goes wrong, and when it is right again.
func (c *databaseClock) watch() {
	clock, known := c.read()
	if !known {
		return
	}
	ahead, uncertainty := clock.Offset.Round(time.Millisecond).Seconds(), clock.Uncertainty.Round(time.Millisecond).Seconds()
	switch off := clock.Offset.Abs(); {
	case !c.warned && off-clock.Uncertainty > warnedOffset:
		c.warned = true
		c.logger.Warn("the clocks of this machine and of the database differ: the database's decides",
			slog.Float64("ahead_seconds", ahead), slog.Float64("uncertainty_seconds", uncertainty))
	case c.warned && off+clock.Uncertainty < rightOffset:
		c.warned = false
		c.logger.Info("the clocks of this machine and of the database agree again",
			slog.Float64("ahead_seconds", ahead), slog.Float64("uncertainty_seconds", uncertainty))
	}
}
