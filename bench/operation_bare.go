package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// bare sends an operation's own statement, on a connection for each worker.
func bare(ctx context.Context, n need, name string) (call, error) {
	next, err := n.values(ctx, name, n.calls)
	if err != nil {
		return nil, err
	}
	callers, err := n.callers(ctx, n.workers, n.statements[name])

	return func(ctx context.Context, worker int) error {
		values, done, err := next()
		if err != nil {
			return err
		}
		if err := callers[worker].Call(ctx, values...); err != nil {
			return err
		}
		done()
		return nil
	}, err
}

// values returns what goes into the statement at each call, and what follows when it has succeeded.
func (r *rig) values(ctx context.Context, name string, calls int) (func() (values []any, done func(), err error), error) {
	nothing := func() {}
	switch name {
	case report.OneRow:
		return func() ([]any, func(), error) { return []any{r.RefreshRow(r.Rotating.Next())}, nothing, nil }, nil
	case report.Create:
		return func() ([]any, func(), error) {
			ids := make([]any, r.statements[name].Values())
			for i := range ids {
				ids[i] = uuid.Must(uuid.NewV7())
			}
			return ids, nothing, nil
		}, nil
	case report.Get:
		return func() ([]any, func(), error) {
			s := r.Readers.Next()
			return []any{r.ID(s), r.AccessRow(s)}, nothing, nil
		}, nil
	case report.Refresh:
		return func() ([]any, func(), error) {
			s := r.Rotating.Next()
			return []any{r.ID(s), r.RefreshRow(s), s.Generation}, func() { s.Rotate("") }, nil
		}, nil
	case report.Update:
		return func() ([]any, func(), error) {
			s := r.Readers.Next()
			now, next, data := r.Checksums(s)
			return []any{r.ID(s), now, data, next}, func() { s.Other = !s.Other }, nil
		}, nil
	case report.Revoke:
		ending, err := r.ending(ctx, calls)
		return func() ([]any, func(), error) {
			id, err := ending()
			return []any{id}, nothing, err
		}, err
	default:
		return nil, fmt.Errorf("there is no statement for %s", name)
	}
}
