package soak_test

import "time"

// jump is by how much the database's clock jumps. The protocol assumes that it stays below what requests and their
// answers leave of the grace.
const jump = (grace - patience) * 4 / 5

// setClock has the database's clock jump once, while everybody is at work.
func (s *soak) setClock() {
	if s.clock != nil && s.pause(*soakFor/2) {
		s.clock.Set(s.off + jump)
		s.tally.add("broken: clock jumped")
	}
}

// checkClock makes sure that the database's clock is off by what it should be. The services have the test's.
func (s *soak) checkClock(want time.Duration) {
	s.t.Helper()
	if s.clock == nil {
		s.t.Log("the database is in a container, and its clock is the machine's")
		return
	}
	var now time.Time
	before := time.Now().Add(want)
	s.query(`SELECT clock_timestamp()`, nil, &now)
	after := time.Now().Add(want)
	const exact = 2 * time.Millisecond // that is what the clock is set by
	if now.Before(before.Add(-exact)) || now.After(after.Add(exact)) {
		s.t.Fatalf("the database's clock shows %v between %v and %v", now, before, after)
	}
}
