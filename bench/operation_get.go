package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/replay"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

func bareGet(r *rig) operation {
	var callers []*replay.Caller
	return operation{
		layer: report.Bare, name: report.Get, rig: r,
		prepare: func(ctx context.Context, workers, _ int) (err error) {
			callers, err = r.callers(ctx, workers, r.statements.get)
			return err
		},
		do: func(ctx context.Context, worker int) error {
			s := r.population.Readers.Next()
			return callers[worker].Call(ctx, r.population.ID(s), r.population.AccessRow(s))
		},
	}
}

func packagesGet(r *rig, variant string) operation {
	return presenting(operation{layer: report.Packages, name: report.Get, variant: variant, rig: r}, presentToPackages)
}

// httpGet is introspection: the strict check with the session's data.
func httpGet(r *rig, variant string) operation {
	return presenting(operation{layer: report.HTTP, name: report.Get, variant: variant, rig: r, server: r.servicePid}, presentToService)
}

// presenting completes an operation that presents access tokens: those that were presented before, or others.
func presenting(o operation, through func(ctx context.Context, r *rig, workers int) (present, error)) operation {
	var tokens []string
	var next atomic.Int64
	var one present

	o.prepare = func(ctx context.Context, workers, calls int) (err error) {
		if one, err = through(ctx, o.rig, workers); err != nil {
			return err
		}
		next.Store(0)
		if o.variant == report.Seen {
			tokens, err = o.rig.tokensSeen(o.layer, workers, one)
			return err
		}
		tokens, err = o.rig.newTokens(calls)
		return err
	}
	o.do = func(_ context.Context, worker int) error {
		i := int(next.Add(1) - 1)
		if o.variant != report.Seen && i >= len(tokens) {
			return load.ErrUsedUp
		}
		return one(worker, tokens[i%len(tokens)])
	}

	return o
}

// present has a worker present an access token, which must be accepted.
type present func(worker int, token string) error

func presentToPackages(ctx context.Context, r *rig, workers int) (present, error) {
	if err := r.openStore(ctx, workers); err != nil {
		return nil, err
	}

	return func(_ int, token string) error {
		_, _, err := r.store.Get(ctx, token)
		return err
	}, nil
}

func presentToService(ctx context.Context, r *rig, workers int) (present, error) {
	all, err := r.internal(ctx, workers)
	if err != nil {
		return nil, err
	}

	return func(worker int, token string) error {
		body, err := all[worker].to(http.MethodPost, "/oauth2/introspect", keyed).with(formType, "token=", token).send(http.StatusOK)
		if err != nil {
			return err
		}
		const active = `{"active":true`
		if len(body) < len(active) || string(body[:len(active)]) != active {
			return fmt.Errorf("the token is not active: %s", body)
		}
		return nil
	}, nil
}

// httpLoad reads sessions by their id.
func httpLoad(r *rig) operation {
	var all []*request
	return operation{
		layer: report.HTTP, name: report.Load, rig: r, server: r.servicePid,
		prepare: func(ctx context.Context, workers, _ int) (err error) {
			all, err = r.internal(ctx, workers)
			return err
		},
		do: func(_ context.Context, worker int) error {
			path := "/v1/sessions/" + r.population.ID(r.population.Readers.Next()).String()
			_, err := all[worker].to(http.MethodGet, path, keyed).with("").send(http.StatusOK)
			return err
		},
	}
}
