package groupcommit

import "time"

// pace decides when the next statement may be sent while another is under way: once the
// server and the callers have had the time that a statement and its calls cost them. A call
// that waits longer loses more than it saves; one that is sent sooner costs the other calls
// more than it gains. That is the rule for delaying acknowledgements (Dooly, Goldman and
// Scott, "TCP dynamic acknowledgment delay", 1998): no rule that cannot see the future does
// much better.
//
// Only work counts. While a statement is in transit, or its commit waits for the disk, the
// server can work on another, and will commit both at once. If commits are quick, a
// statement has usually ended by then. If the server is overloaded, even by others, each
// statement takes longer, so fewer are sent, with more calls each.
type pace struct {
	// each is how long the server reports working on one call: a running estimate,
	// zero before anything is known.
	each time.Duration
	// fixed is the patience in tests that compare; zero otherwise.
	fixed time.Duration
}

const (
	// toldCalls is how many calls' worth of work a statement reports in addition to its
	// calls: the snapshot, the plan's start, its first pages.
	toldCalls = 16
	// ownCalls is how many calls' worth a statement itself costs in total. The larger part
	// is what it cannot report: the messages, what comes before its transaction has a time
	// and after its last row, the commit, and waking the callers. Both numbers are from
	// PostgreSQL's and the callers' processor time for statements of 2 to 64 calls.
	ownCalls = 45
	// leastEach keeps the estimate above a value from which it could not grow again.
	leastEach = 100 * time.Nanosecond
	// mostPatience limits how long an overloaded server makes others wait.
	mostPatience = 20 * time.Millisecond
	// memory is how many statements the estimate is based on.
	memory = 8
)

// patience is how long a statement with that many calls delays the next.
func (p *pace) patience(calls int) time.Duration {
	switch {
	case p.fixed > 0:
		return p.fixed
	case p.each == 0:
		return mostPatience
	}
	return min(time.Duration(ownCalls+calls)*p.each, mostPatience)
}

// learn takes a statement into account: how many calls it had, and how long the server
// reports having worked on it, zero if it does not say.
func (p *pace) learn(calls int, worked time.Duration) {
	if worked == 0 {
		return
	}
	each := worked / time.Duration(toldCalls+calls)
	if p.each > 0 {
		// One that waited for a locked row counts as at most twice as slow.
		each = p.each + (min(each, 2*p.each)-p.each)/memory
	}
	p.each = max(each, leastEach)
}
