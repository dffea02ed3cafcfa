package shards

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
)

// lockQuery makes the creations of one subject on all shards wait for each other. The stores'
// own lock of a subject is another one, and comes after it.
const lockQuery = `SELECT pg_advisory_xact_lock(hashtextextended($1, "sessionStoreLock"(2893475601288341907)))`

// lockSubject waits for the subject's lock on its home or, while that does not answer, on the next
// shard in the subject's order. It returns the shard that the lock is held on.
func (r *Router) lockSubject(ctx context.Context, subject string) (holder *shard, unlock func(), err error) {
	order := r.order(subject)
	for _, s := range r.all { // those that take no new sessions come last
		if !slices.Contains(order, s) {
			order = append(order, s)
		}
	}
	err = firstOf(ctx, order, func(s *shard) (err error) {
		holder = s
		unlock, err = s.lock(ctx, subject)
		return err
	})
	return holder, unlock, err
}

// lock waits for the subject's lock. It is held on a connection apart from those of requests:
// otherwise its waiters could keep its holder from getting a connection.
func (s *shard) lock(ctx context.Context, subject string) (unlock func(), err error) {
	select {
	case s.locks <- struct{}{}:
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	}
	release := func() { <-s.locks }
	tx, err := isolation.Pool{Pool: s.Pool}.Begin(ctx)
	if err == nil {
		if _, err = tx.Exec(ctx, lockQuery, subject); err != nil {
			rollback(ctx, tx)
		}
	}
	if err != nil {
		release()
		return nil, unavailable(err)
	}
	return func() {
		rollback(ctx, tx)
		release()
	}, nil
}

// rollback gives up the transaction even if ctx has ended.
func rollback(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), watchTimeout)
	defer cancel()
	_ = tx.Rollback(ctx) // it has changed nothing
}
