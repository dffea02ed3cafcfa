package main

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// presenting has access tokens presented through something: so many, or all, that were presented before, or others that
// were not.
func (n need) presenting(ctx context.Context, through string, most int, one func(ctx context.Context, token string) error) (call, error) {
	next := counter()
	if n.variant == report.NotSeen {
		// newTokenRounds is how many tokens of one session are made at once at the most.
		const newTokenRounds = 100

		tokens, err := n.tokens(n.calls, int(n.numbers.Add(1))*newTokenRounds)
		return func(ctx context.Context, _ int) error {
			if i := next(); i < len(tokens) {
				return one(ctx, tokens[i])
			}
			return load.ErrUsedUp
		}, err
	}

	var err error
	if n.seen == nil {
		if n.seen, err = n.tokens(n.Readers.Len(), 0); err != nil {
			return nil, err
		}
	}
	tokens := n.seen[:min(most, len(n.seen))]
	if !n.warm[through] {
		err = share(n.workers, len(tokens), func(i int) error {
			if err := one(ctx, tokens[i]); err != nil {
				return fmt.Errorf("a first use of a token: %w", err)
			}
			return nil
		})
		if n.warm == nil {
			n.warm = make(map[string]bool)
		}
		n.warm[through] = true
	}

	return func(ctx context.Context, _ int) error { return one(ctx, tokens[next()%len(tokens)]) }, err
}

func counter() func() int {
	var n atomic.Int64

	return func() int { return int(n.Add(1) - 1) }
}

// tokens returns access tokens of the sessions that are read in turn, with numbers from the given one on.
func (r *rig) tokens(n, number int) ([]string, error) {
	sessions := r.Readers.Ahead(r.Readers.Len())
	tokens := make([]string, n)

	return tokens, share(runtime.GOMAXPROCS(0), n, func(i int) (err error) {
		tokens[i], err = r.AccessToken(sessions[i%len(sessions)], number+i/len(sessions))
		return err
	})
}

// share has workers do something for each number below n.
func share(workers, n int, do func(i int) error) error {
	var group errgroup.Group
	for worker := range workers {
		group.Go(func() error {
			for i := worker; i < n; i += workers {
				if err := do(i); err != nil {
					return err
				}
			}
			return nil
		})
	}

	return group.Wait()
}

// signAhead signs the tokens of the sessions that come next.
func (r *rig) signAhead(calls int) error {
	for _, s := range r.Rotating.Ahead(calls) {
		if _, err := r.RefreshToken(s); err != nil {
			return err
		}
	}

	return nil
}

// settle sees to it that the sessions that come next may be rotated by the service.
func (r *rig) settle(ctx context.Context, calls int) error {
	var latest time.Time
	for _, s := range r.Rotating.Ahead(calls) {
		if s.Rotated.After(latest) {
			latest = s.Rotated
		}
	}
	switch wait := settled - time.Since(latest); {
	case latest.IsZero() || wait <= 0:
		return nil
	case r.Size > smallTable:
		time.Sleep(wait)
		return nil
	default:
		return r.Settle(ctx)
	}
}

// ending makes sessions, and returns one after the other to be revoked.
func (r *rig) ending(ctx context.Context, n int) (func() (uuid.UUID, error), error) {
	ids, err := r.Add(ctx, n)
	next := counter()

	return func() (uuid.UUID, error) {
		if i := next(); i < len(ids) {
			return ids[i], nil
		}
		return uuid.Nil, load.ErrUsedUp
	}, err
}
