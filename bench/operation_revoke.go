package main

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/replay"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// ending are sessions that are there to be revoked.
type ending struct {
	ids  []uuid.UUID
	next atomic.Int64
}

func (e *ending) make(ctx context.Context, r *rig, n int) error {
	conn, err := pgx.Connect(ctx, r.population.URL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // whatever it did is committed
	e.ids, err = r.population.Add(ctx, conn, n)
	e.next.Store(0)

	return err
}

func (e *ending) take() (uuid.UUID, error) {
	i := int(e.next.Add(1) - 1)
	if i >= len(e.ids) {
		return uuid.Nil, load.ErrUsedUp
	}

	return e.ids[i], nil
}

func bareRevoke(r *rig) operation {
	var callers []*replay.Caller
	var sessions ending
	return operation{
		layer: report.Bare, name: report.Revoke, rig: r,
		prepare: func(ctx context.Context, workers, calls int) (err error) {
			callers, err = r.callers(ctx, workers, r.statements.revoke)
			return errors.Join(err, sessions.make(ctx, r, calls))
		},
		do: func(ctx context.Context, worker int) error {
			id, err := sessions.take()
			if err != nil {
				return err
			}
			return callers[worker].Call(ctx, id)
		},
	}
}

func packagesRevoke(r *rig) operation {
	var sessions ending
	return operation{
		layer: report.Packages, name: report.Revoke, rig: r,
		prepare: func(ctx context.Context, workers, calls int) error {
			return errors.Join(r.openStore(ctx, workers), sessions.make(ctx, r, calls))
		},
		do: func(ctx context.Context, _ int) error {
			id, err := sessions.take()
			if err != nil {
				return err
			}
			return r.store.Invalidate(ctx, id)
		},
	}
}

func httpRevoke(r *rig) operation {
	var all []*request
	var sessions ending
	return operation{
		layer: report.HTTP, name: report.Revoke, rig: r, server: r.servicePid,
		prepare: func(ctx context.Context, workers, calls int) (err error) {
			if err := sessions.make(ctx, r, calls); err != nil {
				return err
			}
			all, err = r.internal(ctx, workers)
			return err
		},
		do: func(_ context.Context, worker int) error {
			id, err := sessions.take()
			if err != nil {
				return err
			}
			_, err = all[worker].to(http.MethodDelete, "/v1/sessions/"+id.String(), keyed).with("").send(http.StatusNoContent)
			return err
		},
	}
}
