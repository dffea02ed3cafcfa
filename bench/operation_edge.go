package main

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-sessions/latchkey/bench/internal/edge"
	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/service"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// edgeTokens are the tokens that come again and again: fewer than a verifier remembers.
const edgeTokens = 10_000

// openEdge starts the service, and a resource server that follows it.
func (r *rig) openEdge(ctx context.Context) error {
	if r.edge != nil {
		return nil
	}
	if _, err := r.openService(ctx, 1, true); err != nil {
		return err
	}
	var err error
	r.edge, err = edge.Start(ctx, edge.Config{
		Issuer: population.Issuer, Audience: r.population.Store.Tokens.Audience,
		Public: r.process.Public, Internal: r.process.Internal, ServiceKey: service.Key,
		Keys: r.population.Ring.PublicJWKS(),
	})

	return err
}

// atEdge presents access tokens to one of the resource server's handlers.
func atEdge(r *rig, layer, name, path, variant string) operation {
	var conns []*load.Conn
	var all []*request
	var tokens []string
	var next atomic.Int64
	return operation{
		layer: layer, name: name, variant: variant, rig: r, server: func() int { return r.edge.Pid() },
		prepare: func(ctx context.Context, workers, calls int) error {
			if err := r.openEdge(ctx); err != nil {
				return err
			}
			for len(conns) < workers {
				conn, err := load.Dial(r.edge.Address)
				if err != nil {
					return err
				}
				conns = append(conns, conn)
			}
			all = requests(conns[:workers])
			next.Store(0)
			var err error
			if variant == report.NotSeen {
				tokens, err = r.newTokens(calls)
				return err
			}
			if tokens == nil {
				tokens, err = r.tokens(edgeTokens, 0)
			}
			for i := 0; i < len(tokens) && err == nil; i++ {
				_, err = bearing(all[0], path, tokens[i]).send(http.StatusOK)
			}
			return err
		},
		do: func(_ context.Context, worker int) error {
			i := int(next.Add(1) - 1)
			if variant == report.NotSeen && i >= len(tokens) {
				return load.ErrUsedUp
			}
			_, err := bearing(all[worker], path, tokens[i%len(tokens)]).send(http.StatusOK)
			return err
		},
	}
}

func bearing(r *request, path, token string) *request {
	r.to(http.MethodGet, path, "")
	r.text = append(append(append(r.text, "Authorization: Bearer "...), token...), "\r\n\r\n"...)

	return r
}

// revocationPause is the time between two, where they come all the time.
const revocationPause = 10 * time.Millisecond

// followed has an operation of the packages measured while a replica follows revocations, while they come all the time,
// or both.
func followed(o operation, variant string) operation {
	o.variant = variant
	r, prepare := o.rig, o.prepare
	var running errgroup.Group
	var stop context.CancelFunc
	o.prepare = func(ctx context.Context, workers, calls int) error {
		if err := prepare(ctx, workers, calls); err != nil {
			return err
		}
		var sessions ending
		if variant == report.Busy || variant == report.FollowedBusily {
			if err := sessions.make(ctx, r, int(time.Minute/revocationPause)); err != nil {
				return err
			}
		}
		ctx, stop = context.WithCancel(ctx) //nolint:gosec // G118: finish calls it
		running.Go(func() error { return r.revoke(ctx, &sessions) })
		if variant == report.Followed || variant == report.FollowedBusily {
			follower, err := r.store.Verifier(verifier.Config{Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				return err
			}
			running.Go(func() error { return follower.Run(ctx) })
			for follower.Age() > time.Second {
				time.Sleep(time.Millisecond)
			}
		}
		return nil
	}
	o.finish = func() {
		stop()
		_ = running.Wait() // it ends because it was stopped
	}

	return o
}

// revoke ends one session after the other, until there are none or the context ends.
func (r *rig) revoke(ctx context.Context, sessions *ending) error {
	ticker := time.NewTicker(revocationPause)
	defer ticker.Stop()
	for {
		id, err := sessions.take()
		if err != nil {
			return err
		}
		if err := r.store.Invalidate(ctx, id); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
