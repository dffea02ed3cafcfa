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

// MaxCalls is how many calls a statement has at the most.
const MaxCalls = 128

const (
	// maxStatements is how many of a queue's statements may be under
	// way. A call that finds fewer is sent at once, alone. The others wait for the
	// next of them to end, and share one: more statements would wait for the same
	// processor or disk.
	maxStatements = 2
	// statementPatience is how long a statement may keep others from being sent: it
	// may wait for a row that somebody has locked.
	statementPatience = 20 * time.Millisecond
)

// Queue is the calls of one kind that are under way, and those that wait.
type Queue[T any] struct {
	statement func(context.Context, []*Call[T]) error
	everybody func(error) bool

	mu         sync.Mutex
	statements int
	waiting    []*Call[T]
}

// New returns a queue for a statement that answers all the calls it is given, and
// notes the answers in them. If it fails, one of several calls may have caused that,
// and each is made again by itself; unless everybody says that the error would be
// the same for each, as that of a database that is away is.
func New[T any](statement func(context.Context, []*Call[T]) error, everybody func(error) bool) *Queue[T] {
	return &Queue[T]{statement: statement, everybody: everybody}
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
	alone bool
	err   error
}

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
		return <-c.turn, nil // it has been taken along: this is a matter of one statement
	}
}

// begin tells whether the call may have a statement at once. Otherwise it waits.
func (q *Queue[T]) begin(c *Call[T]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.statements < maxStatements {
		q.statements++
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

// handOver gives a statement's place to those who wait, one of whom runs it for
// all: no goroutine is kept for that.
func (q *Queue[T]) handOver() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.statements--
		return
	}
	n := min(len(q.waiting), MaxCalls)
	all := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	all[0].turn <- all
}

// run runs the calls' statement, and tells their callers, but for the first, who has
// called it. It keeps its place until it has ended, or for as long as others are to
// wait for it. Whatever happens, a panic too, nobody is left waiting.
func (q *Queue[T]) run(all []*Call[T]) {
	place := time.AfterFunc(statementPatience, q.handOver)
	defer func() {
		if place.Stop() {
			q.handOver()
		}
		for _, c := range all[1:] {
			close(c.turn)
		}
	}()
	ctx, cancel := lastOf(all)
	defer cancel()
	err := q.statement(ctx, all)
	alone := len(all) > 1 && err != nil && !q.everybody(err)
	for _, c := range all {
		c.alone, c.err = alone, err
	}
}

// lastOf returns the context of the only caller, or one for several, of whom each
// may go: it ends when the last of their deadlines has passed.
func lastOf[T any](all []*Call[T]) (context.Context, context.CancelFunc) {
	nothing := func() {}
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

// Hold takes all places until release, and Waiting tells how many calls wait
// meanwhile: for tests, in which it is then a matter of arithmetic, and not of the
// machine, how many statements the calls share.
func (q *Queue[T]) Hold() (release func()) {
	for range maxStatements {
		q.begin(&Call[T]{})
	}
	return func() {
		for range maxStatements {
			q.handOver()
		}
	}
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
