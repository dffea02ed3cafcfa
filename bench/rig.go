package main

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/bench/internal/edge"
	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/replay"
	"github.com/latchkey-sessions/latchkey/bench/internal/service"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// rig is a population, and what it is used through: bare connections, a store, the service. Each is opened when it is
// first needed, for as many workers as there are then, and closed by close.
type rig struct {
	*population.Population

	service    service.Config
	statements map[string]*replay.Replay // of operations, to be sent without the store
	numbers    atomic.Int64              // of access tokens that were never presented
	seen       []string                  // access tokens of all sessions that are read
	opened
}

type opened struct {
	conns                []*pgx.Conn
	store                *sessionstore.Store
	stopStore            func()
	process              *service.Process
	toPublic, toInternal *load.Client
	edge                 *edge.Server
	warm                 map[string]bool // layers through which all of seen were presented
}

// callers returns a prepared statement for each worker, on a connection of its own.
func (r *rig) callers(ctx context.Context, workers int, statement *replay.Replay) ([]*replay.Caller, error) {
	callers := make([]*replay.Caller, workers)
	for i := range callers {
		if i == len(r.conns) {
			conn, err := pgx.Connect(ctx, r.URL)
			if err != nil {
				return nil, err
			}
			r.conns = append(r.conns, conn)
		}
		var err error
		if callers[i], err = statement.On(ctx, r.conns[i]); err != nil {
			return nil, err
		}
	}

	return callers, nil
}

// openStore makes the store, on a pool with a connection for each worker.
func (r *rig) openStore(ctx context.Context, workers int) error {
	if r.store != nil {
		return nil
	}
	config, err := pgxpool.ParseConfig(r.URL)
	if err != nil {
		return err
	}
	config.MaxConns, config.MinConns = int32(workers), int32(workers) //nolint:gosec // a number of workers
	pool, err := r.runStore(ctx, config)
	if err != nil {
		return err
	}
	for range workers { // the pool opens its connections in the background
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
	}

	return nil
}

// runStore makes the store, and runs what records tokens that are in use.
func (r *rig) runStore(ctx context.Context, config *pgxpool.Config) (*pgxpool.Pool, error) {
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	store, err := sessionstore.New(pool, r.Ring, r.Store)
	if err != nil {
		pool.Close()
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		_ = store.Run(running) // it returns nil when its context ends
		close(ended)
	}()
	r.store, r.stopStore = store, func() {
		cancel()
		<-ended
		pool.Close()
		r.store = nil
	}

	return pool, nil
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
	r.edge, err = edge.Start(ctx, edge.Config{
		Issuer: population.Issuer, Audience: r.Store.Tokens.Audience,
		Public: r.process.Public, Internal: r.process.Internal, ServiceKey: service.Key,
		Keys: r.Ring.PublicJWKS(),
	})

	return err
}

// close ends everything but the database.
func (r *rig) close(ctx context.Context) error {
	var err error
	for _, conn := range r.conns {
		err = errors.Join(err, conn.Close(ctx))
	}
	if r.store != nil {
		r.stopStore()
	}
	if r.edge != nil {
		err = errors.Join(err, r.edge.Stop())
	}
	if r.process != nil {
		r.toPublic.Close()
		r.toInternal.Close()
		err = errors.Join(err, r.process.Stop())
	}
	r.opened = opened{}

	return err
}
