package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/rivals"
)

// besideSCS measures introspection in turn with the middleware of scs, which loads the session of a request too: each
// has as many sessions, and the same load.
func (b *bench) besideSCS(ctx context.Context) error {
	ours := b.rigs[b.cfg.sizes[0]]
	database, err := b.cluster.Create(ctx, "scs")
	if err != nil {
		return err
	}
	base, cookies, stop, err := rivals.StartSCS(ctx, fmt.Sprintf("%s&pool_max_conns=%d", database, b.cfg.mainWorkers()), ours.population.Size)
	if err != nil {
		return err
	}
	defer stop()

	return b.inTurn(ctx, report.SCSGroup, b.cfg.mainWorkers(), b.edgeRounds(), b.cfg.duration, []operation{
		scsRead(ours, base, cookies), httpGet(ours, report.Seen),
	})
}

// scsRead has a session loaded by scs, and answered with its data.
func scsRead(r *rig, base string, cookies []string) operation {
	var conns []*load.Conn
	texts := make([][]byte, len(cookies))
	for i, cookie := range cookies {
		r := &request{}
		texts[i] = r.to(http.MethodGet, rivals.SCSPath, "Cookie: "+cookie+"\r\n").with("").text
	}

	return operation{
		layer: report.Rivals, name: rivals.SCSName, variant: report.Seen, rig: r,
		prepare: func(_ context.Context, workers, _ int) error {
			address, err := url.Parse(base)
			for i := 0; i < workers && err == nil; i++ {
				var conn *load.Conn
				if conn, err = load.Dial(address.Host); err == nil {
					conns = append(conns, conn)
				}
			}
			return err
		},
		do: func(_ context.Context, worker int) error {
			one := request{conn: conns[worker], text: texts[rand.IntN(len(texts))]} //nolint:gosec // which session is read is no secret
			_, err := one.send(http.StatusOK)
			return err
		},
		finish: func() {
			for _, conn := range conns {
				_ = conn.Close() // all is answered
			}
			conns = nil
		},
	}
}
