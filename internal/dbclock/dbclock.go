// Package dbclock keeps the database's time between the answers that report it.
//
// It extrapolates by the monotonic clock, so that setting this machine's clock has no
// effect. The time in an answer lies somewhere between query and answer, so half of
// that interval is how far the clock may be off; that grows with time, because two
// clocks drift apart.
package dbclock

import (
	"sync/atomic"
	"time"
)

const (
	// drift is how far two clocks may drift apart, in millionths: the most by which NTP
	// slows or speeds up a clock.
	drift = 500
	// resolution is the resolution of the reported times.
	resolution = time.Millisecond
)

// Clock is what is known about the database's clock. The zero Clock has no time yet. It
// is safe for concurrent use.
type Clock struct {
	known atomic.Pointer[sample]
}

// sample is a time that the database reported.
type sample struct {
	time time.Time
	// mono is when that was, on the monotonic clock of this process, to within the
	// uncertainty; heard is when any time was last reported.
	mono, heard time.Duration
	uncertainty time.Duration
}

// Reading is what the clock shows.
type Reading struct {
	Now time.Time
	// Uncertainty is how far Now may be off, either way.
	Uncertainty time.Duration
	// Age is how long ago the database last reported its time.
	Age time.Duration
}

// Learn takes the time that the database reported in an answer. The moments are those
// of the query and of the answer, on the monotonic clock.
//
// An earlier report is kept if it is more exact, unless the two contradict each
// other: then the database's clock was set, or another database has taken over.
func (c *Clock) Learn(told time.Time, asked, answered time.Duration) {
	if asked > answered {
		return // it is not known when it was
	}
	half := (answered - asked) / 2
	next := sample{time: told, mono: asked + half, heard: answered, uncertainty: half + resolution}
	if before := c.known.Load(); before != nil {
		expected := before.at(next.mono)
		agree := told.Sub(expected.Now).Abs() <= expected.Uncertainty+next.uncertainty
		if agree && expected.Uncertainty < next.uncertainty {
			heard := next.heard
			next = *before
			next.heard = heard
		}
	}
	c.known.Store(&next)
}

// At reads the clock at a moment of the monotonic clock. It returns false if nothing
// is known.
func (c *Clock) At(mono time.Duration) (Reading, bool) {
	s := c.known.Load()
	if s == nil {
		return Reading{}, false
	}
	return s.at(mono), true
}

func (s *sample) at(mono time.Duration) Reading {
	since := mono - s.mono
	return Reading{
		Now:         s.time.Add(since),
		Uncertainty: s.uncertainty + since.Abs()/1_000_000*drift,
		Age:         max(0, mono-s.heard),
	}
}
