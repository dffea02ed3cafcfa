package main

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// presenting has access tokens presented through something: so many, or all, that were presented before, or others that
// were not.
func (n need) presenting(ctx context.Context, through string, most int, one func(ctx context.Context, token string)) call {
	next := counter()
	if n.variant == report.NotSeen {
		// newTokenRounds is how many tokens of one session are made at once at the most.
		const newTokenRounds = 100

		tokens := n.tokens(n.calls, int(n.numbers.Add(1))*newTokenRounds)
		return func(ctx context.Context, _ int) {
			i := next()
			if i >= len(tokens) {
				must.Do(load.ErrUsedUp)
			}
			one(ctx, tokens[i])
		}
	}

	if n.seen == nil {
		n.seen = n.tokens(n.Readers.Len(), 0)
	}
	tokens := n.seen[:min(most, len(n.seen))]
	if !n.warm[through] {
		share(n.workers, len(tokens), func(i int) { one(ctx, tokens[i]) })
		if n.warm == nil {
			n.warm = make(map[string]bool)
		}
		n.warm[through] = true
	}

	return func(ctx context.Context, _ int) { one(ctx, tokens[next()%len(tokens)]) }
}

func counter() func() int {
	var n atomic.Int64

	return func() int { return int(n.Add(1) - 1) }
}

// tokens returns access tokens of the sessions that are read in turn, with numbers from the given one on.
func (r *rig) tokens(n, number int) []string {
	sessions := r.Readers.Ahead(r.Readers.Len())
	tokens := make([]string, n)
	share(runtime.GOMAXPROCS(0), n, func(i int) { tokens[i] = r.AccessToken(sessions[i%len(sessions)], number+i/len(sessions)) })

	return tokens
}

// share has workers do something for each number below n.
func share(workers, n int, do func(i int)) {
	var group errgroup.Group
	for worker := range workers {
		group.Go(func() error {
			return must.Run(func() {
				for i := worker; i < n; i += workers {
					do(i)
				}
			})
		})
	}
	must.Do(group.Wait())
}

// signAhead signs the tokens of the sessions that come next.
func (r *rig) signAhead(calls int) {
	for _, s := range r.Rotating.Ahead(calls) {
		r.RefreshToken(s)
	}
}

// settle sees to it that the sessions that come next may be rotated by the service.
func (r *rig) settle(ctx context.Context, calls int) {
	var latest time.Time
	for _, s := range r.Rotating.Ahead(calls) {
		if s.Rotated.After(latest) {
			latest = s.Rotated
		}
	}
	switch wait := settled - time.Since(latest); {
	case latest.IsZero() || wait <= 0:
	case r.Size > smallTable:
		time.Sleep(wait)
	default:
		r.Settle(ctx)
	}
}

// ending makes sessions, and returns one after the other to be revoked.
func (r *rig) ending(ctx context.Context, n int) func() uuid.UUID {
	ids := r.Add(ctx, n)
	next := counter()

	return func() uuid.UUID {
		i := next()
		if i >= len(ids) {
			must.Do(load.ErrUsedUp)
		}
		return ids[i]
	}
}
