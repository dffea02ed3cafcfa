package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

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
	population *population.Population
	service    service.Config

	statements statements
	numbers    atomic.Int64 // of access tokens that were never presented

	conns     []*pgx.Conn
	store     *sessionstore.Store
	pool      *pgxpool.Pool
	stopStore func()
	process   *service.Process
	edge      *edge.Server
	toService []*load.Conn
	seen      []string
	warm      map[string]bool
}

func newRig(ctx context.Context, p *population.Population, cfg service.Config) (*rig, error) {
	r := &rig{population: p, service: cfg}
	var err error
	r.statements, err = capture(ctx, p)

	return r, err
}

// bare returns a connection for each worker.
func (r *rig) bare(ctx context.Context, workers int) ([]*pgx.Conn, error) {
	for len(r.conns) < workers {
		conn, err := pgx.Connect(ctx, r.population.URL)
		if err != nil {
			return nil, err
		}
		r.conns = append(r.conns, conn)
	}

	return r.conns, nil
}

// callers returns a prepared statement for each worker.
func (r *rig) callers(ctx context.Context, workers int, statement *replay.Replay) ([]*replay.Caller, error) {
	conns, err := r.bare(ctx, workers)
	if err != nil {
		return nil, err
	}
	callers := make([]*replay.Caller, workers)
	for i := range callers {
		if callers[i], err = statement.On(ctx, conns[i]); err != nil {
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
	config, err := pgxpool.ParseConfig(r.population.URL)
	if err != nil {
		return err
	}
	config.MaxConns, config.MinConns = int32(workers), int32(workers) //nolint:gosec // a number of workers
	if r.store, r.pool, r.stopStore, err = runStore(ctx, r.population, config); err != nil {
		return err
	}
	for range workers { // the pool opens its connections in the background
		conn, err := r.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
	}

	return nil
}

// runStore makes a store, and runs what records tokens that are in use. The function that it returns ends both.
func runStore(ctx context.Context, p *population.Population, config *pgxpool.Config) (*sessionstore.Store, *pgxpool.Pool, func(), error) {
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, nil, nil, err
	}
	store, err := sessionstore.New(pool, p.Ring, p.Store)
	if err != nil {
		pool.Close()
		return nil, nil, nil, err
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		_ = store.Run(running) // it returns nil when its context ends
		close(ended)
	}()

	return store, pool, func() {
		cancel()
		<-ended
		pool.Close()
	}, nil
}

// openService starts the service, and returns a new connection for each worker: the server closes those that are not
// used for a while.
func (r *rig) openService(ctx context.Context, workers int, internal bool) ([]*request, error) {
	if r.process == nil {
		process, err := service.Start(ctx, r.service)
		if err != nil {
			return nil, err
		}
		r.process = process
	}
	address := r.process.Public
	if internal {
		address = r.process.Internal
	}
	if err := r.hangUp(); err != nil {
		return nil, err
	}
	for range workers {
		conn, err := load.Dial(address)
		if err != nil {
			return nil, err
		}
		r.toService = append(r.toService, conn)
	}

	return requests(r.toService), nil
}

func (r *rig) public(ctx context.Context, workers int) ([]*request, error) {
	return r.openService(ctx, workers, false)
}

func (r *rig) internal(ctx context.Context, workers int) ([]*request, error) {
	return r.openService(ctx, workers, true)
}

func (r *rig) hangUp() error {
	var err error
	for _, conn := range r.toService {
		err = errors.Join(err, conn.Close())
	}
	r.toService = nil

	return err
}

// servicePid is the service's process.
func (r *rig) servicePid() int { return r.process.Pid() }

// tokensSeen returns an access token of each session that is read, after each was presented once through what is
// named, by as many workers.
func (r *rig) tokensSeen(through string, workers int, one present) (_ []string, err error) {
	if r.seen == nil {
		if r.seen, err = r.tokens(r.population.Readers.Len(), 0); err != nil {
			return nil, err
		}
	}
	if r.warm[through] {
		return r.seen, nil
	}
	var group errgroup.Group
	for worker := range workers {
		group.Go(func() error {
			for i := worker; i < len(r.seen); i += workers {
				if err := one(worker, r.seen[i]); err != nil {
					return fmt.Errorf("a first use of a token: %w", err)
				}
			}
			return nil
		})
	}
	if r.warm == nil {
		r.warm = make(map[string]bool)
	}
	r.warm[through] = true

	return r.seen, group.Wait()
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
	err = errors.Join(err, r.hangUp())
	if r.edge != nil {
		err = errors.Join(err, r.edge.Stop())
	}
	if r.process != nil {
		err = errors.Join(err, r.process.Stop())
	}
	r.conns, r.store, r.pool, r.stopStore, r.process, r.edge, r.warm = nil, nil, nil, nil, nil, nil, nil

	return err
}

// newTokens returns access tokens that nobody has presented, of the sessions that are read in turn.
func (r *rig) newTokens(n int) ([]string, error) {
	return r.tokens(n, int(r.numbers.Add(1))*newTokenRounds)
}

// newTokenRounds is how many tokens of one session are made at once at the most.
const newTokenRounds = 100

// tokens returns access tokens of the sessions that are read in turn, with numbers from the given one on.
func (r *rig) tokens(n, number int) ([]string, error) {
	sessions := r.population.Readers.Ahead(r.population.Readers.Len())
	tokens := make([]string, n)
	var group errgroup.Group
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() error {
			for i := worker; i < n; i += workers {
				token, err := r.population.AccessToken(sessions[i%len(sessions)], number+i/len(sessions))
				if err != nil {
					return err
				}
				tokens[i] = token
			}
			return nil
		})
	}

	return tokens, group.Wait()
}
