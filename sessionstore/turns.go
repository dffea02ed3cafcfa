package sessionstore

import (
	"context"
	"sync"
)

// turns let a store do one thing at a time for a subject. Every call that waits for a
// database lock holds a connection, and one user's sign-ins and sign-outs must not
// take all of them. The zero value is ready to use.
type turns struct {
	mu sync.Mutex
	of map[string]*turn // of subjects for which something is being done
}

type turn struct {
	taken chan struct{} // has room for the one whose turn it is
	users int           // the one that has it, and those that wait for it
}

// take waits for the subject's turn, which release returns.
func (q *turns) take(ctx context.Context, subject string) (release func(), err error) {
	t := q.enter(subject)
	select {
	case t.taken <- struct{}{}:
		return func() {
			<-t.taken
			q.leave(subject, t)
		}, nil
	case <-ctx.Done():
		q.leave(subject, t)
		return nil, ctx.Err()
	}
}

func (q *turns) enter(subject string) *turn {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.of[subject]
	if t == nil {
		t = &turn{taken: make(chan struct{}, 1)}
		if q.of == nil {
			q.of = map[string]*turn{}
		}
		q.of[subject] = t
	}
	t.users++
	return t
}

func (q *turns) leave(subject string, t *turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(q.of, subject)
	}
}
