package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/replay"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/servers"
	"github.com/latchkey-sessions/latchkey/bench/internal/service"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// rig is a population, and what it is used through: bare connections, a store, the service. Each is opened when it is
// first needed, for as many workers as there are then, and closed by close.
type rig struct {
	*population.Population

	service    service.Config
	statements map[string]replay.Statement // of operations, to be sent without the store
	numbers    atomic.Int64                // of access tokens that were never presented
	seen       []string                    // access tokens of all sessions that are read
	opened
}

type opened struct {
	closers              []func(context.Context) error
	conns                []*pgx.Conn
	store                *sessionstore.Store
	process              *service.Process
	toPublic, toInternal *load.Client
	edge                 *servers.Server
	warm                 map[string]bool // through what all of seen were presented
}

// close ends everything but the database, what was opened last first.
func (r *rig) close(ctx context.Context) (err error) {
	for _, end := range slices.Backward(r.closers) {
		err = errors.Join(err, end(ctx))
	}
	r.opened = opened{}

	return err
}

func (r *rig) onClose(end func(context.Context) error) { r.closers = append(r.closers, end) }

// ownArguments are, by operation, the numbers of a statement's arguments that operation_bare.go has values for. Where
// they are others one day, the statement finds no row, and the run ends.
var ownArguments = map[string][]int{
	report.Create: {1, 9}, report.Get: {1, 2}, report.Update: {1, 2, 3, 4}, report.Refresh: {1, 2, 3}, report.Revoke: {1},
}

// capture makes each operation once, and keeps the statement that it sends.
func (r *rig) capture(ctx context.Context) (err error) {
	// oneRowUpdate is the least that a durable change of a session can be.
	const oneRowUpdate = `UPDATE "sessionStoreToken" SET "lateRetries" = 0 WHERE "id" = $1`

	defer func() { err = errors.Join(err, r.close(ctx)) }()
	if err := r.openStore(ctx, 1, func(c *pgxpool.Config) { c.ConnConfig.Tracer = replay.Tracer{} }); err != nil {
		return err
	}
	r.statements = map[string]replay.Statement{report.OneRow: {SQL: oneRowUpdate, Args: []any{uuid.Nil}, Own: []int{1}}}
	for name, own := range ownArguments {
		variant := ""
		if name == report.Get {
			variant = report.NotSeen
		}
		do, err := throughPackages[name](ctx, need{rig: r, variant: variant, workers: 1, calls: 1})
		if err != nil {
			return err
		}
		if r.statements[name], err = replay.Capture(ctx, func(ctx context.Context) error { return do(ctx, 0) }, own...); err != nil {
			return fmt.Errorf("capture %s: %w", name, err)
		}
	}

	return nil
}

// callers returns a prepared statement for each worker, on a connection of its own.
func (r *rig) callers(ctx context.Context, workers int, name string) ([]*replay.Caller, error) {
	callers := make([]*replay.Caller, workers)
	for i := range callers {
		if i == len(r.conns) {
			conn, err := pgx.Connect(ctx, r.URL)
			if err != nil {
				return nil, err
			}
			r.conns = append(r.conns, conn)
			r.onClose(conn.Close)
		}
		var err error
		if callers[i], err = r.statements[name].On(ctx, r.conns[i]); err != nil {
			return nil, err
		}
	}

	return callers, nil
}

// openStore makes the store, on a pool with a connection for each worker, and runs what records tokens that are in use.
func (r *rig) openStore(ctx context.Context, workers int, changes ...func(*pgxpool.Config)) error {
	if r.store != nil {
		return nil
	}
	config, err := pgxpool.ParseConfig(r.URL)
	if err != nil {
		return err
	}
	config.MaxConns = int32(workers) //nolint:gosec // a number of workers
	for _, change := range changes {
		change(config)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	conns := make([]*pgxpool.Conn, workers)
	for i := range conns { // opens them all
		if conns[i], err = pool.Acquire(ctx); err != nil {
			return err
		}
	}
	for _, conn := range conns {
		conn.Release()
	}
	if r.store, err = sessionstore.New(pool, r.Ring, r.Store); err != nil {
		return err
	}

	store := r.store
	running, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		_ = store.Run(running) // it returns nil when its context ends
		close(ended)
	}()
	r.onClose(func(context.Context) error {
		cancel()
		<-ended
		pool.Close()
		return nil
	})

	return nil
}

// openService starts the service.
func (r *rig) openService(ctx context.Context) (err error) {
	if r.process != nil {
		return nil
	}
	if r.process, err = service.Start(ctx, r.service); err != nil {
		return err
	}
	r.toPublic, r.toInternal = load.NewClient(r.process.Public), load.NewClient(r.process.Internal)
	process, clients := r.process, []*load.Client{r.toPublic, r.toInternal}
	r.onClose(func(context.Context) error {
		for _, client := range clients {
			client.Close()
		}
		return process.Stop()
	})

	return nil
}

// openEdge starts the service, and a resource server that follows it.
func (r *rig) openEdge(ctx context.Context) error {
	if r.edge != nil {
		return nil
	}
	if err := r.openService(ctx); err != nil {
		return err
	}
	var err error
	r.edge, err = servers.Start(ctx, servers.Config{Edge: &servers.Edge{
		Issuer: population.Issuer, Audience: r.Store.Tokens.Audience, Public: r.process.Public, Internal: r.process.Internal,
		ServiceKey: service.Key, Keys: r.Ring.PublicJWKS(),
	}})
	if err != nil {
		return err
	}
	edge := r.edge
	r.onClose(func(context.Context) error { return edge.Stop() })

	return nil
}
