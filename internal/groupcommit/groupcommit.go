// Package groupcommit lets simultaneous calls share statements: the fixed work of
// a statement (the message, the snapshot, the commit) is most of what it costs a
// database. The package knows no database.
package groupcommit

import (
	"context"
	"slices"
	"sync"
	"time"
)

// MaxCalls is the largest number of calls in a statement.
const MaxCalls = 128

// Queue holds the calls of one kind that are under way, and those that wait. A call that
// arrives while no statement holds others back is sent at once, alone. Those that arrive
// meanwhile wait until it ends, or for as long as [pace] says, and share the next.
type Queue[T any] struct {
	statement func(context.Context, []*Call[T]) error
	everyone  func(error) bool
	passesOn  func() // passOn, as a separate allocation
	timers    sync.Pool

	mu         sync.Mutex
	pace       pace
	most       int  // statements
	statements int  // under way
	isKept     bool // one of them holds others back
	held       int  // held by tests
	waiting    []*Call[T]
}

// New returns a queue for a statement that answers all the calls it is given, and
// stores the answers in them. If it fails, one of several calls may be the cause,
// and each is repeated on its own, unless everyone reports that the error would be the same for each, as with an
// unreachable database.
//
// Statements is the maximum number under way at once: as many as there are connections,
// since a statement that waits for one can take on no more calls.
func New[T any](statements int, statement func(context.Context, []*Call[T]) error, everyone func(error) bool) *Queue[T] {
	q := &Queue[T]{statement: statement, everyone: everyone, most: statements}
	q.passesOn = q.passOn
	return q
}

// Call is one that may have to wait for a statement. Of holds its request and its
// answer.
type Call[T any] struct {
	Of T

	ctx context.Context //nolint:containedctx // its caller's, which may have ended when its turn comes
	// turn receives the calls whose statement its caller must run, including
	// itself, or is closed when another caller has run it.
	turn chan []*Call[T]
	self [1]*Call[T] // the call alone, without an allocation

	// alone says that the call was not answered, and must be made on its own.
	alone  bool
	err    error
	worked time.Duration
}

// Worked notes how long the server worked on the call's statement, without the round
// trip and the commit: one of its calls is enough. If no statement reports that,
// statements run one after another.
func (c *Call[T]) Worked(d time.Duration) { c.worked = d }

// Do makes one call. Its error, if there is one, is not another call's: if a statement
// of several calls fails, each of them gets its own.
func (q *Queue[T]) Do(ctx context.Context, of T) (*Call[T], error) {
	c := &Call[T]{Of: of, ctx: ctx, alone: true}
	c.self[0] = c
	all, err := q.enter(c)
	if err != nil {
		return c, err
	}
	if all != nil {
		q.run(all) //nolint:contextcheck // it runs for others too: see lastOf
	}
	if c.alone {
		c.Of = of // a statement that failed may have noted something in it
		c.err = q.statement(ctx, c.self[:])
	}
	return c, c.err
}

// enter waits until the call has its turn, and returns those whose statement its
// caller must run; none if it has been run.
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

// begin reports whether the call may send a statement at once. Otherwise it waits.
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

// leave ends a call's wait, and reports whether it was still waiting.
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

// isFree reports whether a statement may be sent.
func (q *Queue[T]) isFree() bool { return !q.isKept && q.held == 0 && q.statements < q.most }

func (q *Queue[T]) take() {
	q.isKept = true
	q.statements++
}

// next makes the waiting calls share a statement, if one may be sent. One of them runs
// it for all: there is no separate goroutine.
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

// passOn notes that a statement no longer holds others back.
func (q *Queue[T]) passOn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.isKept = false
	q.next()
}

// end notes that a statement has ended, which may still have held others back.
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

// passOnAfter returns a timer that no statement uses any more, or a new one.
func (q *Queue[T]) passOnAfter(patience time.Duration) *time.Timer {
	timer, ok := q.timers.Get().(*time.Timer)
	if !ok {
		return time.AfterFunc(patience, q.passesOn)
	}
	timer.Reset(patience)
	return timer
}

// run runs the calls' statement, and notifies their callers, except for the first,
// which called it. Whatever happens, even a panic, no caller is left waiting.
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
	alone := len(all) > 1 && err != nil && !q.everyone(err)
	for _, c := range all {
		c.alone, c.err = alone, err
	}
}

// lastOf returns the context of the only caller, or one for several, of which
// each may leave: it ends when the last of their deadlines has passed.
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

// nothing is a context that cannot be cancelled.
func nothing() {}

// Hold keeps statements from being sent until release, and Waiting returns how many
// calls wait meanwhile: for tests, so that the number of statements that the calls
// share depends on arithmetic, and not on the machine.
func (q *Queue[T]) Hold() (release func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held++
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.held--
		q.next()
	}
}

// Waiting is how many calls wait for a statement.
func (q *Queue[T]) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}
