package main

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/replay"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

func bareCreate(r *rig) operation {
	var callers []*replay.Caller
	return operation{
		layer: report.Bare, name: report.Create, rig: r,
		prepare: func(ctx context.Context, workers, _ int) (err error) {
			callers, err = r.callers(ctx, workers, r.statements.create)
			return err
		},
		do: func(ctx context.Context, worker int) error {
			ids := make([]any, r.statements.createIDs)
			for i := range ids {
				id, err := uuid.NewV7()
				if err != nil {
					return err
				}
				ids[i] = id
			}
			return callers[worker].Call(ctx, ids...)
		},
	}
}

func packagesCreate(r *rig) operation {
	return operation{
		layer: report.Packages, name: report.Create, rig: r,
		prepare: func(ctx context.Context, workers, _ int) error { return r.openStore(ctx, workers) },
		do: func(ctx context.Context, _ int) error {
			_, _, err := r.store.Create(ctx, newSession())
			return err
		},
	}
}

func httpCreate(r *rig) operation {
	const body = `{"subject":"user-of-the-benchmark","data":` + population.Data +
		`,"client":{"user_agent":"` + population.UserAgent + `","ip":"127.0.0.1"}}`
	var all []*request
	return operation{
		layer: report.HTTP, name: report.Create, rig: r, server: r.servicePid,
		prepare: func(ctx context.Context, workers, _ int) (err error) {
			all, err = r.internal(ctx, workers)
			for _, request := range all {
				request.to(http.MethodPost, "/v1/sessions", keyed).with(jsonType, body)
			}
			return err
		},
		do: func(_ context.Context, worker int) error {
			_, err := all[worker].send(http.StatusCreated)
			return err
		},
	}
}
