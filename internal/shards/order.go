package shards

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/latchkey-sessions/latchkey/internal/placement"
)

// order has the shards that take new sessions of a key, its home first; any order without a key.
func (r *Router) order(key string) []*shard {
	if key == "" {
		key = rand.Text()
	}
	numbers := placement.Order(key, r.open)
	order := make([]*shard, len(numbers))
	for i, number := range numbers {
		order[i] = r.byNumber[number]
	}
	return order
}

// firstOf calls do for the first shard of an order that can be reached.
func firstOf(ctx context.Context, order []*shard, do func(*shard) error) (err error) {
	for i, s := range order {
		if !s.isUp.Load() && slices.ContainsFunc(order[i+1:], func(s *shard) bool { return s.isUp.Load() }) {
			continue
		}
		if err = do(s); err == nil || ctx.Err() != nil || !wasNotAsked(err) { // a caller that hangs up says nothing about the shard
			return err
		}
		s.isUp.Store(false)
	}
	return err
}

// wasNotAsked reports whether a database cannot have done what was requested: nothing was
// sent.
func wasNotAsked(err error) bool {
	if errors.Is(err, errUnchecked) || pgconn.SafeToRetry(err) {
		return true
	}
	_, failed := errors.AsType[*pgconn.ConnectError](err)
	return failed
}
