package main

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/service"
)

const (
	// settled is after what time the service rotates a pair again: three times its grace, and a margin.
	settled = 3*service.Grace + 200*time.Millisecond
	// smallTable is up to how many sessions all of them may be changed between two measurements.
	smallTable = 100_000
	// newTokenRounds is the largest number of tokens that are made of one session at once.
	newTokenRounds = 100
)

// presenting has access tokens presented through something: so many, or all, that were presented before, or others that
// were not.
func (n need) presenting(ctx context.Context, through string, most int, one func(ctx context.Context, token string)) call {
	if n.variant == report.NotSeen {
		next := once(n.tokens(n.calls, int(n.numbers.Add(1))*newTokenRounds))
		return func(ctx context.Context, _ int) { one(ctx, next()) }
	}
	if n.seen == nil {
		n.seen = n.tokens(n.Readers.Len(), 0)
	}
	tokens := n.seen[:min(most, len(n.seen))]
	if !slices.Contains(n.warm, through) {
		must.Share(n.workers, len(tokens), func(i int) { one(ctx, tokens[i]) })
		n.warm = append(n.warm, through)
	}
	var calls atomic.Int64
	return func(ctx context.Context, _ int) { one(ctx, tokens[int(calls.Add(1)-1)%len(tokens)]) }
}

// once returns one after the other, and ends the measurement when there are no more.
func once[T any](all []T) func() T {
	var calls atomic.Int64
	return func() T {
		i := int(calls.Add(1) - 1)
		if i >= len(all) {
			must.Do(load.ErrUsedUp)
		}
		return all[i]
	}
}

// tokens returns access tokens of the sessions that are read in turn, with numbers from the given one on.
func (r *rig) tokens(n, number int) []string {
	sessions := r.Readers.Ahead(r.Readers.Len())
	tokens := make([]string, n)
	must.Share(runtime.GOMAXPROCS(0), n, func(i int) { tokens[i] = r.AccessToken(sessions[i%len(sessions)], number+i/len(sessions)) })
	return tokens
}

// signAhead signs the tokens of the sessions that come next.
func (r *rig) signAhead(calls int) {
	for _, s := range r.Rotating.Ahead(calls) {
		r.RefreshToken(s)
	}
}

// settle sees to it that the sessions that come next may be rotated by the service.
func (r *rig) settle(ctx context.Context, calls int) {
	latest := slices.MaxFunc(r.Rotating.Ahead(calls), func(a, b *population.Session) int { return a.Rotated.Compare(b.Rotated) }).Rotated
	switch wait := settled - time.Since(latest); {
	case latest.IsZero() || wait <= 0:
	case r.Size > smallTable:
		time.Sleep(wait)
	default:
		r.Settle(ctx)
	}
}
