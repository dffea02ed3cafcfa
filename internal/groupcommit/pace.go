package groupcommit

import "time"

// pace is when the next statement may be sent, while another is under way: once the server
// and the callers have had the time that a statement and its calls cost them. A call that
// waits longer loses more than it saves; one that is sent sooner costs the other calls more
// than it gains. That is the rule for delaying acknowledgements (Dooly, Goldman and Scott,
// "TCP dynamic acknowledgment delay", 1998): no rule that cannot see the future does much
// better.
//
// Only work counts. While a statement is on its way, or its commit waits for the disk, the
// server can work for another, and will commit both at once. Where a commit is quick, a
// statement has mostly ended by then. Where the server is overloaded, even by others, each
// statement takes it longer, so fewer are sent, of more calls.
type pace struct {
	// each is how long the server says that it works for one call: a running estimate,
	// zero before anything is known.
	each time.Duration
	// fixed is the patience in tests that compare; zero otherwise.
	fixed time.Duration
}

const (
	// toldCalls is how many calls' worth of work a statement tells alongside its calls:
	// the snapshot, the plan's start, its first pages.
	toldCalls = 16
	// ownCalls is how many calls' worth a statement costs by itself in all. What it cannot
	// tell is the larger part: the messages, what comes before its transaction has a time
	// and after its last row, the commit, and waking the callers. Both numbers are from
	// PostgreSQL's and the callers' processor time for statements of 2 to 64 calls.
	ownCalls = 45
	// leastEach keeps the estimate from where it could not grow again.
	leastEach = 100 * time.Nanosecond
	// mostPatience bounds what a server that is overloaded makes others wait for.
	mostPatience = 20 * time.Millisecond
	// memory is how many statements the estimate goes by.
	memory = 8
)

// patience is how long a statement of so many calls keeps the next from being sent.
func (p *pace) patience(calls int) time.Duration {
	switch {
	case p.fixed > 0:
		return p.fixed
	case p.each == 0:
		return mostPatience
	}
	return min(time.Duration(ownCalls+calls)*p.each, mostPatience)
}

// learn takes a statement into account: how many calls it had, and for how long the server
// says that it worked for it, zero if it does not say.
func (p *pace) learn(calls int, worked time.Duration) {
	if worked == 0 {
		return
	}
	each := worked / time.Duration(toldCalls+calls)
	if p.each > 0 {
		// One that waited for a row that somebody had locked counts as twice as slow.
		each = p.each + (min(each, 2*p.each)-p.each)/memory
	}
	p.each = max(each, leastEach)
}
