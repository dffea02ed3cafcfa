package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// edgeTokens are the tokens that come again and again: fewer than a verifier remembers.
const edgeTokens = 10_000

// atEdge presents access tokens to one of the resource server's handlers.
func atEdge(r *rig, layer, name, path, variant string) operation {
	var tokens []string
	return operation{
		layer: layer, name: name, variant: variant, rig: r, server: func() int { return r.edge.Pid() },
		prepare: func(ctx context.Context, n need) (call, error) {
			if err := r.openEdge(ctx); err != nil {
				return nil, err
			}
			client := load.NewClient(r.edge.Address)
			one := func(token string) error {
				_, err := client.Send(http.StatusOK, load.Request{Method: http.MethodGet, Path: path, Bearer: token})
				return err
			}
			if variant == report.NotSeen {
				return n.notSeen(one)
			}
			var err error
			if tokens == nil {
				tokens, err = r.tokens(edgeTokens, 0)
			}
			for i := 0; i < len(tokens) && err == nil; i++ {
				err = one(tokens[i])
			}
			return inTurns(tokens, one), err
		},
	}
}

// revocationPause is the time between two, where they come all the time.
const revocationPause = 10 * time.Millisecond

// followed has an operation of the packages measured while a replica follows revocations, while they come all the time,
// or both.
func followed(o operation, variant string) operation {
	o.variant = variant
	prepare := o.prepare
	var running errgroup.Group
	stop := func() {}
	o.prepare = func(ctx context.Context, n need) (call, error) {
		do, err := prepare(ctx, n)
		if err != nil {
			return nil, err
		}
		calls := 0
		if variant == report.Busy || variant == report.FollowedBusily {
			calls = int(time.Minute / revocationPause)
		}
		revoke, err := throughPackages[report.Revoke](ctx, need{rig: n.rig, workers: n.workers, calls: calls})
		if err != nil {
			return nil, err
		}
		ctx, stop = context.WithCancel(ctx) //nolint:gosec // G118: finish calls it
		running.Go(func() error { return again(ctx, revoke) })
		if variant == report.Followed || variant == report.FollowedBusily {
			follower, err := n.store.Verifier(verifier.Config{Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				return nil, err
			}
			running.Go(func() error { return follower.Run(ctx) })
			for follower.Age() > time.Second {
				time.Sleep(time.Millisecond)
			}
		}
		return do, nil
	}
	o.finish = func() {
		stop()
		_ = running.Wait() // it ends because it was stopped
	}

	return o
}

// again calls at the pace of revocations, until everything is used up or the context ends.
func again(ctx context.Context, do call) error {
	ticker := time.NewTicker(revocationPause)
	defer ticker.Stop()
	for {
		if err := do(ctx, 0); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
