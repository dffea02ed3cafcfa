package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/latchkey-sessions/latchkey/bench/internal/replay"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

func bareUpdate(r *rig) operation {
	var callers []*replay.Caller
	return operation{
		layer: report.Bare, name: report.Update, rig: r,
		prepare: func(ctx context.Context, workers, _ int) (err error) {
			callers, err = r.callers(ctx, workers, r.statements.update)
			return err
		},
		do: func(ctx context.Context, worker int) error {
			s := r.population.Readers.Next()
			now, next, data := r.population.Checksums(s)
			if err := callers[worker].Call(ctx, r.population.ID(s), now, data, next); err != nil {
				return err
			}
			s.Other = !s.Other
			return nil
		},
	}
}

func packagesUpdate(r *rig) operation {
	return operation{
		layer: report.Packages, name: report.Update, rig: r,
		prepare: func(ctx context.Context, workers, _ int) error { return r.openStore(ctx, workers) },
		do: func(ctx context.Context, _ int) error {
			s := r.population.Readers.Next()
			now, next, data := r.population.Checksums(s)
			got, err := r.store.Update(ctx, r.population.ID(s), now, []byte(data))
			if err != nil {
				return err
			}
			if got != next {
				return fmt.Errorf("the checksum is %s, not %s", got, next)
			}
			s.Other = !s.Other
			return nil
		},
	}
}

func httpUpdate(r *rig) operation {
	var all []*request
	return operation{
		layer: report.HTTP, name: report.Update, rig: r, server: r.servicePid,
		prepare: func(ctx context.Context, workers, _ int) (err error) {
			all, err = r.internal(ctx, workers)
			return err
		},
		do: func(_ context.Context, worker int) error {
			s := r.population.Readers.Next()
			now, _, data := r.population.Checksums(s)
			path := "/v1/sessions/" + r.population.ID(s).String() + "/data"
			if _, err := all[worker].to(http.MethodPut, path, keyed+`If-Match: "`+now+"\"\r\n").
				with(jsonType, data).send(http.StatusOK); err != nil {
				return err
			}
			s.Other = !s.Other
			return nil
		},
	}
}
