// Package dbclock keeps the time of the database's clock between the answers that
// tell it.
//
// It counts on by the monotonic clock, so that setting this machine's clock moves
// nothing. Each answer tells a time somewhere between question and answer, so half of
// what lies between them is how far the clock may be off; and more with the time since,
// as two clocks drift apart.
package dbclock

import (
	"sync/atomic"
	"time"
)

const (
	// drift is by how many millionths two clocks may drift apart: the most by which NTP
	// slows a clock down or speeds it up.
	drift = 500
	// resolution is that of the times that are told.
	resolution = time.Millisecond
)

// Clock is what is known of the database's clock. The zero Clock knows nothing. It may
// be used by many goroutines.
type Clock struct {
	known atomic.Pointer[sample]
}

// sample is a time that the database has told.
type sample struct {
	time time.Time
	// mono is when that was, on the monotonic clock of this process, to within the
	// uncertainty; heard is when any time was told last.
	mono, heard time.Duration
	uncertainty time.Duration
}

// Reading is what the clock shows.
type Reading struct {
	Now time.Time
	// Uncertainty is how far Now may be off, either way.
	Uncertainty time.Duration
	// Age is how long the database has told nothing.
	Age time.Duration
}

// Learn takes the time that the database has told in an answer. The moments are those
// of the question and of the answer, on the monotonic clock.
//
// What was told earlier stays if it is the more exact, unless the two contradict each
// other: then the database's clock was set, or another database has taken over.
func (c *Clock) Learn(told time.Time, asked, answered time.Duration) {
	if asked > answered {
		return // nobody can tell when it was
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
