// Package groupcommit lets calls that come at once share statements: the work of a
// statement beside its rows (the message, the snapshot, the commit) is most of what
// it costs a database. It knows none.
package groupcommit

import (
	"context"
	"slices"
	"sync"
	"time"
)

// MaxCalls is the largest number of calls in a statement.
const MaxCalls = 128

// Queue is the calls of one kind that are under way, and those that wait. A call that comes
// while no statement keeps others back is sent at once, alone. Those that come meanwhile
// wait until it ends, or for as long as [pace] says, and share the next.
type Queue[T any] struct {
	statement func(context.Context, []*Call[T]) error
	everybody func(error) bool
	passesOn  func() // passOn, as an allocation of its own
	timers    sync.Pool

	mu         sync.Mutex
	pace       pace
	most       int  // statements
	statements int  // under way
	isKept     bool // one of them keeps others back
	held       int  // by tests
	waiting    []*Call[T]
}

// New returns a queue for a statement that answers all the calls it is given, and
// notes the answers in them. If it fails, one of several calls may have caused that,
// and each is made again by itself; unless everybody says that the error would be
// the same for each, as that of a database that is away is.
//
// Statements is how many are under way at once at most: as many as there are connections,
// since a statement that waits for one can take no more calls along.
func New[T any](statements int, statement func(context.Context, []*Call[T]) error, everybody func(error) bool) *Queue[T] {
	q := &Queue[T]{statement: statement, everybody: everybody, most: statements}
	q.passesOn = q.passOn
	return q
}

// Call is one that may have to wait for a statement. Of has what it asks for, and
// what it was answered.
type Call[T any] struct {
	Of T

	ctx context.Context //nolint:containedctx // its caller's, who may have gone when its turn comes
	// turn is told the calls whose statement its caller runs, itself among them, or
	// closed when another has run it.
	turn chan []*Call[T]
	self [1]*Call[T] // the call alone, without an allocation

	// alone says that the call was not answered, and has to be made by itself.
	alone  bool
	err    error
	worked time.Duration
}

// Worked notes for how long the server worked for the call's statement, without the way
// there and back and without the commit: one of its calls is enough. Where no statement
// tells that, they follow one another.
func (c *Call[T]) Worked(d time.Duration) { c.worked = d }

// Do makes one call. Its error, if there is one, is not another call's: if a statement
// of several calls fails, each of them gets one of its own.
func (q *Queue[T]) Do(ctx context.Context, of T) (*Call[T], error) {
	c := &Call[T]{Of: of, ctx: ctx, alone: true}
	c.self[0] = c
	all, err := q.enter(c)
	if err != nil {
		return c, err
	}
	if all != nil {
		q.run(all) //nolint:contextcheck // it is for others too: see lastOf
	}
	if c.alone {
		c.Of = of // a statement that failed may have noted something in it
		c.err = q.statement(ctx, c.self[:])
	}
	return c, c.err
}

// enter waits until the call has its turn, and returns those whose statement its
// caller is to run; none if it has been run.
func (q *Queue[T]) enter(c *Call[T]) ([]*Call[T], error) {
	if q.begin(c) {
		return c.self[:], nil
	}
	select {
	case all := <-c.turn:
		return all, nil
	case <-c.ctx.Done():
		if q.leave(c) {
			return nil, c.ctx.Err()
		}
		return <-c.turn, nil // another call's statement includes it: the answer is at most one statement away
	}
}

// begin tells whether the call may have a statement at once. Otherwise it waits.
func (q *Queue[T]) begin(c *Call[T]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isFree() {
		q.take()
		return true
	}
	c.turn = make(chan []*Call[T], 1)
	q.waiting = append(q.waiting, c)
	return false
}

// leave tells whether the call still waited, and now does not.
func (q *Queue[T]) leave(c *Call[T]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, c)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// isFree tells whether a statement may be sent.
func (q *Queue[T]) isFree() bool { return !q.isKept && q.held == 0 && q.statements < q.most }

func (q *Queue[T]) take() {
	q.isKept = true
	q.statements++
}

// next has those who wait share a statement, if one may be sent. One of them runs it for
// all: no goroutine is kept for that.
func (q *Queue[T]) next() {
	if len(q.waiting) == 0 || !q.isFree() {
		return
	}
	q.take()
	n := min(len(q.waiting), MaxCalls)
	all := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	all[0].turn <- all
}

// passOn is for a statement that keeps others back no longer.
func (q *Queue[T]) passOn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.isKept = false
	q.next()
}

// end is for a statement that has ended, and perhaps still kept others back.
func (q *Queue[T]) end(keeps bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.statements--
	if keeps {
		q.isKept = false
	}
	q.next()
}

func (q *Queue[T]) patience(calls int) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pace.patience(calls)
}

func (q *Queue[T]) learn(all []*Call[T]) {
	var worked time.Duration
	for _, c := range all {
		worked = max(worked, c.worked)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pace.learn(len(all), worked)
}

// passOnAfter returns a timer that no statement has any more, or a new one.
func (q *Queue[T]) passOnAfter(patience time.Duration) *time.Timer {
	timer, ok := q.timers.Get().(*time.Timer)
	if !ok {
		return time.AfterFunc(patience, q.passesOn)
	}
	timer.Reset(patience)
	return timer
}

// run runs the calls' statement, and tells their callers, but for the first, who has
// called it. Whatever happens, a panic too, nobody is left waiting.
func (q *Queue[T]) run(all []*Call[T]) {
	place := q.passOnAfter(q.patience(len(all)))
	defer func() {
		q.end(place.Stop())
		q.timers.Put(place)
		for _, c := range all[1:] {
			close(c.turn)
		}
	}()
	ctx, cancel := lastOf(all)
	defer cancel()
	err := q.statement(ctx, all)
	if err == nil {
		q.learn(all)
	}
	alone := len(all) > 1 && err != nil && !q.everybody(err)
	for _, c := range all {
		c.alone, c.err = alone, err
	}
}

// lastOf returns the context of the only caller, or one for several, of whom each
// may go: it ends when the last of their deadlines has passed.
func lastOf[T any](all []*Call[T]) (context.Context, context.CancelFunc) {
	if len(all) == 1 {
		return all[0].ctx, nothing
	}
	ctx := context.WithoutCancel(all[0].ctx)
	var last time.Time
	for _, c := range all {
		deadline, ok := c.ctx.Deadline()
		if !ok {
			return ctx, nothing
		}
		if deadline.After(last) {
			last = deadline
		}
	}
	return context.WithDeadline(ctx, last)
}

// nothing can be cancelled.
func nothing() {}

// Hold keeps statements from being sent until release, and Waiting tells how many calls
// wait meanwhile: for tests, in which it is then a matter of arithmetic, and not of the
// machine, how many statements the calls share.
func (q *Queue[T]) Hold() (release func()) {
	hold := func(n int) {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.held += n
		q.next()
	}
	hold(1)
	return func() { hold(-1) }
}

// Waiting is how many calls wait for a statement.
func (q *Queue[T]) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// Column gathers one argument of each call, for a statement of several.
func Column[T, V any](all []*Call[T], value func(*T) V) []V {
	values := make([]V, len(all))
	for i, c := range all {
		values[i] = value(&c.Of)
	}
	return values
}
