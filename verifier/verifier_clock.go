package verifier

import (
	"errors"
	"time"
)

var errNoClock = errors.New("the database has not reported its time yet")

// Clock returns what is known about the database's clock, and false before its time was
// first received: some sources never provide it. With several shards it is the clock of the
// first or, while that is not known well enough, of another one.
func (v *Verifier) Clock() (Clock, bool) {
	first, known := v.set.clock.read()
	if known && first.Err() == nil {
		return first, true
	}
	for _, set := range v.shards.all() {
		if clock, known := set.clock.read(); known && clock.Err() == nil {
			return clock, true
		}
	}
	return first, known
}

// Learn gives the verifier the time that the database returned for a query sent at a [Verifier.Moment]: for a program
// that queries the database itself. The verifier's own source provides it too.
func (v *Verifier) Learn(database time.Time, asked Moment) { v.set.clock.learn(database, asked) }

// Moment reads the clocks that [Verifier.Learn] compares with.
func (v *Verifier) Moment() Moment { return v.set.now() }

// ClockErr says why the database's time is not known well enough. It is nil if it
// is, and if nothing provides it: [Verifier.Run] does not run, or the source does
// not know it. Tokens are still accepted and refused, but a valid one may be taken
// for expired.
func (v *Verifier) ClockErr() error {
	clock, known := v.Clock()
	switch {
	case known:
		return clock.Err()
	case v.following.Load() && v.set.known.Load() == nil:
		return errNoClock
	}
	return nil
}
