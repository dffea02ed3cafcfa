package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/servers"
	"github.com/latchkey-sessions/latchkey/bench/rivals"
)

// besideSCS measures introspection in turn with the middleware of scs, which loads the session of a request too: each
// has as many sessions, and the same load.
func (b *bench) besideSCS(ctx context.Context) (err error) {
	ours := b.rigs[b.cfg.sizes[0]]
	url, err := b.cluster.Create(ctx, "scs")
	if err != nil {
		return err
	}
	server, err := servers.Start(ctx, servers.Config{SCS: &servers.SCS{
		DatabaseURL: url, Connections: b.cfg.mainWorkers(), Sessions: ours.Size, Data: population.Data,
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	sending := func(name, method string) operation {
		return operation{
			layer: report.SCS, name: name, rig: ours, server: server.Pid,
			prepare: func(context.Context, need) (call, error) {
				client := load.NewClient(server.Address)
				return func(context.Context, int) error {
					cookie := server.Cookies[rand.IntN(len(server.Cookies))] //nolint:gosec // which session is read is no secret
					body, err := client.Send(http.StatusOK, load.Request{Method: method, Path: servers.Session, Cookie: cookie})
					if err == nil && string(body) != population.Data {
						err = fmt.Errorf("it answered %q", body)
					}
					return err
				}, nil
			},
		}
	}
	theirs := []operation{sending(report.Read, http.MethodGet), sending(report.ReadWrite, http.MethodPost)}
	if err := b.inTurn(ctx, report.SCSGroup, b.cfg.mainWorkers(), b.edgeRounds(), b.cfg.duration,
		[]operation{theirs[0], of(ours, report.HTTP, report.Get, report.Seen), theirs[1]}); err != nil {
		return err
	}
	for _, o := range theirs {
		row := b.gather(o.key(report.SCSGroup, b.cfg.mainWorkers())).row()
		row.Note = fmt.Sprintf("%s, CPU of the server %.0f µs a request", server.Versions, row.ServerCPU)
		b.results.Rivals = append(b.results.Rivals, row)
	}

	return nil
}

// compas measures @compas/store. Where that cannot be done, for want of Node or a registry, it is left out, and the
// report says so.
func (b *bench) compas(ctx context.Context) error {
	url, err := b.cluster.Create(ctx, "compas")
	if err != nil {
		return err
	}
	rows, err := rivals.Compas(ctx, rivals.Config{
		DatabaseURL: url, Connections: b.cfg.mainWorkers(), Duration: 2 * b.cfg.duration, Sessions: churningSize, Data: population.Data,
	})
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		b.results.Missing = append(b.results.Missing, err.Error())
		b.say("%v", err)
	}
	b.results.Rivals = append(rows, b.results.Rivals...)

	return nil
}
