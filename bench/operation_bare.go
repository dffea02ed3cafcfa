package main

import (
	"context"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// bare sends an operation's own statement, on a connection for each worker.
func bare(ctx context.Context, n need, name string) call {
	callers := n.callers(ctx, n.workers, name)
	send := func(ctx context.Context, worker int, values ...any) { must.Do(callers[worker].Call(ctx, values...)) }
	switch name {
	case report.OneRow:
		return func(ctx context.Context, worker int) { send(ctx, worker, n.Rotating.Next().Pair) }
	case report.Create:
		return func(ctx context.Context, worker int) {
			send(ctx, worker, must.Get(uuid.NewV7()), must.Get(uuid.NewV7()))
		}
	case report.Get:
		return func(ctx context.Context, worker int) {
			s := n.Readers.Next()
			send(ctx, worker, s.ID, s.Pair)
		}
	case report.Refresh:
		return func(ctx context.Context, worker int) {
			s := n.Rotating.Next()
			send(ctx, worker, s.ID, s.Pair, s.Generation)
			s.Rotate("")
		}
	case report.Update:
		return func(ctx context.Context, worker int) {
			s := n.Readers.Next()
			now, next, data := n.Checksums(s)
			send(ctx, worker, s.ID, now, data, next)
			s.Other = !s.Other
		}
	default: // to revoke
		ending := n.ending(ctx, n.calls)
		return func(ctx context.Context, worker int) { send(ctx, worker, ending()) }
	}
}
