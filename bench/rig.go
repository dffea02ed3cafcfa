package main

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
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

	binary, keysFile string // of the service

	statements map[string]replay.Statement // of operations, to be sent without the store
	numbers    atomic.Int64                // of access tokens that were never presented
	seen       []string                    // access tokens of all sessions that are read
	opened
}

type opened struct {
	closers []func()
	conns   []*pgx.Conn
	store   *sessionstore.Store
	process *service.Process
	edge    *servers.Server
	warm    []string // through what all of seen were presented
}

// close ends everything but the database, what was opened last first.
func (r *rig) close() {
	var err error
	for _, end := range slices.Backward(r.closers) {
		err = errors.Join(err, must.Run(end))
	}
	r.opened = opened{}
	must.Do(err)
}

func (r *rig) onClose(end func()) { r.closers = append(r.closers, end) }

// ownArguments are, by operation, the numbers of a statement's arguments that bare has values for. Where
// they are others one day, the statement finds no row, and the run ends.
var ownArguments = map[string][]int{
	report.Create: {1, 9}, report.Get: {1, 2}, report.Update: {1, 2, 3, 4}, report.Refresh: {1, 2, 3}, report.Revoke: {1},
}

// capture makes each operation once, and keeps the statement that it sends.
func (r *rig) capture(ctx context.Context) {
	// oneRowUpdate is the least that a durable change of a session can be.
	const oneRowUpdate = `UPDATE "sessionStoreToken" SET "lateRetries" = 0 WHERE "id" = $1`

	defer r.close()
	r.openStore(ctx, 1, func(c *pgxpool.Config) { c.ConnConfig.Tracer = replay.Tracer{} })
	r.statements = map[string]replay.Statement{report.OneRow: {SQL: oneRowUpdate, Args: []any{uuid.Nil}, Own: []int{1}}}
	for name, own := range ownArguments {
		do := throughPackages(ctx, need{rig: r, variant: report.NotSeen, workers: 1, calls: 1}, name)
		r.statements[name] = replay.Capture(ctx, func(ctx context.Context) { do(ctx, 0) }, own...)
	}
}

// callers returns a prepared statement for each worker, on a connection of its own.
func (r *rig) callers(ctx context.Context, workers int, name string) []*replay.Caller {
	for len(r.conns) < workers {
		conn := must.Get(pgx.Connect(ctx, r.URL))
		r.conns = append(r.conns, conn)
		r.onClose(func() { must.Do(conn.Close(context.WithoutCancel(ctx))) })
	}
	callers := make([]*replay.Caller, workers)
	for i := range callers {
		callers[i] = r.statements[name].On(ctx, r.conns[i])
	}
	return callers
}

// openStore makes the store, on a pool with a connection for each worker, and runs what records tokens that are in use.
func (r *rig) openStore(ctx context.Context, workers int, changes ...func(*pgxpool.Config)) {
	if r.store != nil {
		return
	}
	ctx = context.WithoutCancel(ctx) // it lives until close
	config := must.Get(pgxpool.ParseConfig(r.URL))
	config.MaxConns = int32(workers) //nolint:gosec // a number of workers
	for _, change := range changes {
		change(config)
	}
	pool := must.Get(pgxpool.NewWithConfig(ctx, config))
	r.onClose(pool.Close)
	r.store = must.Get(sessionstore.New(pool, r.Ring, r.Store))
	r.onClose(must.Beside(ctx, func(ctx context.Context) { must.Do(r.store.Run(ctx)) }))

	conns := make([]*pgxpool.Conn, workers)
	for i := range conns { // opens them all
		conns[i] = must.Get(pool.Acquire(ctx))
	}
	for _, conn := range conns {
		conn.Release()
	}
}

// openService starts the service.
func (r *rig) openService(ctx context.Context) {
	if r.process == nil {
		r.process = service.Start(ctx, r.binary, r.keysFile, r.URL) // on the database, wherever that is now
		r.onClose(r.process.Stop)
	}
}

// openEdge starts the service, and a resource server that follows it.
func (r *rig) openEdge(ctx context.Context) {
	r.openService(ctx)
	if r.edge == nil {
		r.edge = servers.Start(ctx, servers.Edge{
			Issuer: population.Issuer, Audience: r.Store.Tokens.Audience, Public: r.process.Public.Address, Internal: r.process.Internal.Address,
			ServiceKey: service.Key, Keys: r.Ring.PublicJWKS(),
		})
		r.onClose(r.edge.Stop)
	}
}

const (
	// settled is after what time the service rotates a pair again: three times its grace, and a margin.
	settled = 3*service.Grace + 200*time.Millisecond
	// smallTable is up to how many sessions all of them may be changed between two measurements.
	smallTable = 100_000
	// newTokenRounds is the largest number of tokens that are made of one session at once.
	newTokenRounds = 100
)

// presenting has access tokens presented through something: so many, or all, that were presented before, or others that
// were not.
func (n need) presenting(ctx context.Context, through string, most int, one func(ctx context.Context, token string)) call {
	if n.variant == report.NotSeen {
		next := once(n.tokens(n.calls, int(n.numbers.Add(1))*newTokenRounds))
		return func(ctx context.Context, _ int) { one(ctx, next()) }
	}
	if n.seen == nil {
		n.seen = n.tokens(len(n.Readers.Sessions), 0)
	}
	tokens := n.seen[:min(most, len(n.seen))]
	if !slices.Contains(n.warm, through) {
		must.Share(n.workers, len(tokens), func(i int) { one(ctx, tokens[i]) })
		n.warm = append(n.warm, through)
	}
	var calls atomic.Int64
	return func(ctx context.Context, _ int) { one(ctx, tokens[int(calls.Add(1)-1)%len(tokens)]) }
}

// once returns one after the other, and ends the measurement when there are no more.
func once[T any](all []T) func() T {
	var calls atomic.Int64
	return func() T {
		i := int(calls.Add(1) - 1)
		if i >= len(all) {
			must.Do(load.ErrUsedUp)
		}
		return all[i]
	}
}

// tokens returns access tokens of the sessions that are read in turn, with numbers from the given one on.
func (r *rig) tokens(n, number int) []string {
	sessions := r.Readers.Sessions
	tokens := make([]string, n)
	must.Share(runtime.GOMAXPROCS(0), n, func(i int) { tokens[i] = r.AccessToken(sessions[i%len(sessions)], number+i/len(sessions)) })
	return tokens
}

// rotatable sees to it that the sessions that come next may be rotated by the service, with tokens that have been signed.
func (n need) rotatable(ctx context.Context) {
	var latest time.Time
	for _, s := range n.Rotating.Ahead(n.calls) {
		n.RefreshToken(s)
		if s.Rotated.After(latest) {
			latest = s.Rotated
		}
	}
	switch wait := settled - time.Since(latest); {
	case latest.IsZero() || wait <= 0:
	case n.Size > smallTable:
		time.Sleep(wait)
	default:
		n.Settle(ctx)
	}
}
