package sessionstore

import (
	"context"
	"sync"
)

// turns let a store do one thing at a time for a subject. Whoever waits for the locks
// of the database holds a connection, and one user's sign-ins and sign-outs are not to
// take all of them from everybody else. The zero value is ready.
type turns struct {
	mu sync.Mutex
	of map[string]*turn // of subjects for whom something is being done
}

type turn struct {
	taken chan struct{} // has room for the one whose turn it is
	users int           // who has it, and who wait for it
}

// take waits for the subject's turn, which release gives back.
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
