package groupcommit

import "time"

// pace is when the next statement may be sent, while another is under way: once the
// server has had the time that one costs it beside its calls. A call that waits longer
// loses more than the server saves; one that is sent sooner costs the other calls more than
// it gains. That is the rule for delaying acknowledgements (Dooly, Goldman and Scott, "TCP
// dynamic acknowledgment delay", 1998): no rule that cannot see the future does much better.
//
// Only work counts. While a statement is on its way, or its commit waits for the disk, the
// server can work for another, and will commit both at once. Where it is overloaded, be it
// by others, each statement takes it longer, so fewer are sent, of more calls.
type pace struct {
	// each is how long the server works for one call, a running estimate.
	each time.Duration
	// isTold says that statements tell how long the server worked for them.
	isTold bool
}

const (
	// ownCalls is how many calls cost the server as much as a statement does by itself:
	// the message, the snapshot, the start and the end of the plan and of a transaction.
	// With fewer an overloaded server gets too many statements, in the test's model.
	ownCalls = 5
	// firstEach is an estimate before anything is known.
	firstEach = 50 * time.Microsecond
	// leastEach keeps the estimate from where it could not grow again.
	leastEach = 5 * time.Microsecond
	// mostPatience bounds what a server that is overloaded makes others wait for.
	mostPatience = 20 * time.Millisecond
	// memory is how many statements the estimate goes by.
	memory = 8
)

// patience is for how long a statement keeps the next from being sent.
func (p *pace) patience() time.Duration {
	return min(ownCalls*p.each, mostPatience)
}

// learn takes a statement into account: how many calls it had, for how long the server
// worked for it, zero if it did not tell, and how long it took in all. One that waited for
// a row that somebody had locked counts as twice as slow as others.
func (p *pace) learn(calls int, worked, took time.Duration) {
	switch {
	case worked > 0:
		p.isTold = true
	case p.isTold:
		return
	default:
		worked = took
	}
	each := min(worked/time.Duration(ownCalls+calls), 2*p.each)
	p.each = max(p.each+(each-p.each)/memory, leastEach)
}
