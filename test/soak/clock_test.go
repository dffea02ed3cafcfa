package soak_test

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/latchkey-sessions/latchkey/verifier"
)

const (
	// jump is by how much the database's clock jumps. The protocol assumes that it stays below what requests and their
	// answers leave of the grace.
	jump = (grace - patience) * 4 / 5
	// edgeSkew is how far the clocks of verifiers are off at most. They have nothing that would have to wait for that.
	edgeSkew = 24 * time.Hour

	clockJumped = "broken: clock jumped, the "
)

// setClock makes the database's clock jump once, while all clients are at work.
func (s *soak) setClock() {
	if s.clock != nil && s.pause(*soakFor/2) {
		s.off += jump
		s.clock.Set(s.off)
		s.tally.add(clockJumped + "database's")
	}
}

// setOtherClocks has those of services and verifiers jump, one after the other, until the storm ends.
func (s *soak) setOtherClocks() {
	dice := s.dice("clocks")
	for s.pause(between(dice, grace/2, 2*grace)) {
		s.services[dice.IntN(len(s.services))].setClock(between(dice, -*soakSkew, *soakSkew))
		s.tally.add(clockJumped + "service's")
		s.anyEdge(dice).clock.set(between(dice, -edgeSkew, edgeSkew))
		s.tally.add(clockJumped + "verifier's")
	}
}

// checkClocks makes sure that the database's clock is off from the test's by what it should be, and that services and
// verifiers know how far theirs are off from that.
func (s *soak) checkClocks() {
	s.t.Helper()
	s.checkClock()
	const exact = 100 * time.Millisecond // a busy machine answers late
	for _, v := range s.services {
		s.await("service "+v.name+"'s offset", func() bool {
			off, known := v.offset()
			return known && (off-(v.ahead()-s.off)).Abs() < exact
		})
	}
	for _, e := range s.edges {
		s.await("the edge's offset", func() bool {
			clock, known := e.verifier.Clock()
			return known && (clock.Offset-(e.clock.ahead()-s.off)).Abs() < exact
		})
	}
}

func (s *soak) checkClock() {
	s.t.Helper()
	if s.clock == nil {
		s.t.Log("the database is in a container, and its clock is the machine's")
		return
	}
	var now time.Time
	before := time.Now().Add(s.off)
	s.query(`SELECT clock_timestamp()`, nil, &now)
	after := time.Now().Add(s.off)
	const exact = 2 * time.Millisecond // that is what the clock is set by
	if now.Before(before.Add(-exact)) || now.After(after.Add(exact)) {
		s.t.Fatalf("the database's clock shows %v between %v and %v", now, before, after)
	}
}

// offset reads from a service's metrics how far its clock is off.
func (v *service) offset() (time.Duration, bool) {
	_, internal := v.addresses()
	r, err := http.NewRequestWithContext(v.soak.t.Context(), http.MethodGet, internalURL+"/metrics", nil)
	if err != nil {
		v.soak.t.Fatal(err)
	}
	for line := range strings.Lines(string(v.soak.network.forward(r, internal).body)) {
		if value, found := strings.CutPrefix(line, "latchkey_clock_offset_seconds "); found {
			seconds, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return time.Duration(seconds * float64(time.Second)), err == nil
		}
	}
	return 0, false
}

// wallClock is that of a verifier. Its monotonic clock is right.
type wallClock struct{ nanoseconds atomic.Int64 }

func (c *wallClock) set(ahead time.Duration) { c.nanoseconds.Store(int64(ahead)) }

func (c *wallClock) ahead() time.Duration { return time.Duration(c.nanoseconds.Load()) }

func (c *wallClock) now() verifier.Moment {
	m := verifier.Now()
	m.Wall = m.Wall.Add(c.ahead())
	return m
}

// anyEdge returns one of the verifiers.
func (s *soak) anyEdge(dice *rand.Rand) *edge { return s.edges[dice.IntN(len(s.edges))] }
