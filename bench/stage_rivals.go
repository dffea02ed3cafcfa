package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/servers"
	"github.com/latchkey-sessions/latchkey/bench/rivals"
)

// besideSCS measures introspection in turn with the middleware of scs, which loads the session of a request too: each
// has as many sessions, and the same load.
func (b *bench) besideSCS(ctx context.Context) {
	ours := b.rigs[b.cfg.sizes[0]]
	url := b.cluster.Create(ctx, "scs")
	server := servers.Start(ctx, servers.Config{SCS: &servers.SCS{
		DatabaseURL: url, Connections: b.cfg.mainWorkers(), Sessions: ours.Size, Data: population.Data,
	}})
	defer func() { must.Do(server.Stop()) }()
	sending := func(name, method string) operation {
		return operation{
			layer: report.SCS, name: name, rig: ours, server: server.Pid,
			prepare: func(context.Context, need) call {
				client := load.NewClient(server.Address)
				return func(context.Context, int) {
					cookie := server.Cookies[rand.IntN(len(server.Cookies))] //nolint:gosec // which session is read is no secret
					body := must.Get(client.Send(http.StatusOK, load.Request{Method: method, Path: servers.Session, Cookie: cookie}))
					if string(body) != population.Data {
						must.Do(fmt.Errorf("it answered %q", body))
					}
				}
			},
		}
	}
	theirs := []operation{sending(report.Read, http.MethodGet), sending(report.ReadWrite, http.MethodPost)}
	b.inTurn(ctx, report.SCSGroup, b.cfg.mainWorkers(), b.edgeRounds(), b.cfg.duration,
		[]operation{theirs[0], of(ours, report.HTTP, report.Get, report.Seen), theirs[1]})
	for _, o := range theirs {
		row := b.gather(o.key(report.SCSGroup, b.cfg.mainWorkers())).row()
		row.Note = fmt.Sprintf("%s, CPU of the server %.0f µs a request", server.Versions, row.ServerCPU)
		b.results.Rivals = append(b.results.Rivals, row)
	}
}

// compas measures @compas/store. Where that cannot be done, for want of Node or a registry, it is left out, and the
// report says so.
func (b *bench) compas(ctx context.Context) {
	url := b.cluster.Create(ctx, "compas")
	var rows []report.Row
	if err := must.Run(func() {
		rows = rivals.Compas(ctx, rivals.Config{
			DatabaseURL: url, Connections: b.cfg.mainWorkers(), Duration: 2 * b.cfg.duration, Sessions: either(b.cfg, churningSize, 1000), Data: population.Data,
		})
	}); err != nil {
		must.Do(ctx.Err())
		missing := fmt.Sprintf("%s: %v", report.Compas, err)
		b.results.Missing = append(b.results.Missing, missing)
		b.say("%s", missing)
	}
	b.results.Rivals = append(rows, b.results.Rivals...)
}
