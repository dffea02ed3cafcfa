package main

import (
	"context"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// bare sends an operation's own statement, on a connection for each worker.
func bare(ctx context.Context, n need, name string) (call, error) {
	callers, err := n.callers(ctx, n.workers, name)
	if err != nil {
		return nil, err
	}
	switch name {
	case report.OneRow:
		return func(ctx context.Context, worker int) error { return callers[worker].Call(ctx, n.Rotating.Next().Pair) }, nil
	case report.Create:
		return func(ctx context.Context, worker int) error {
			return callers[worker].Call(ctx, uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7()))
		}, nil
	case report.Get:
		return func(ctx context.Context, worker int) error {
			s := n.Readers.Next()
			return callers[worker].Call(ctx, s.ID, s.Pair)
		}, nil
	case report.Refresh:
		return func(ctx context.Context, worker int) error {
			s := n.Rotating.Next()
			err := callers[worker].Call(ctx, s.ID, s.Pair, s.Generation)
			if err == nil {
				s.Rotate("")
			}
			return err
		}, nil
	case report.Update:
		return func(ctx context.Context, worker int) error {
			s := n.Readers.Next()
			now, next, data := n.Checksums(s)
			err := callers[worker].Call(ctx, s.ID, now, data, next)
			if err == nil {
				s.Other = !s.Other
			}
			return err
		}, nil
	default: // to revoke
		ending, err := n.ending(ctx, n.calls)
		return func(ctx context.Context, worker int) error {
			id, err := ending()
			if err != nil {
				return err
			}
			return callers[worker].Call(ctx, id)
		}, err
	}
}
