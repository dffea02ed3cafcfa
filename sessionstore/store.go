package sessionstore

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/compas"
	"github.com/latchkey-sessions/latchkey/internal/groupcommit"
	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Store creates, reads, changes, refreshes and ends sessions. It is safe for
// concurrent use.
type Store struct {
	core

	pool   isolation.Pool
	compas *compas.Adapter // nil if there are no sessions of Compas
	seen   confirmations
	limit  limit
	turns  *turns // of subjects
	pace   *pace
	// primary gives up connections to a server that is no longer the primary.
	primary primary.Watch
	// saysApart is that of its statements.
	saysApart *atomic.Bool

	creations   *groupcommit.Queue[*creation]
	readings    *groupcommit.Queue[reading]
	loadings    *groupcommit.Queue[loading]
	rotations   *groupcommit.Queue[rotation]
	writings    *groupcommit.Queue[writing]
	revocations *groupcommit.Queue[revocation]
}

// New returns a store on the caller's pool, whose schema must have been
// migrated. It does not query the database and starts no goroutine.
func New(db *pgxpool.Pool, keys *tokens.KeyRing, cfg Config) (*Store, error) {
	if db == nil || keys == nil {
		return nil, errors.New("sessionstore: a pool and a key ring are required")
	}
	core, err := newCore(keys, cfg)
	if err != nil {
		return nil, err
	}
	cfg = core.cfg
	pool := isolation.Pool{Pool: db}
	on, inTurn, pace, conns := newStatements(pool, cfg), new(turns), newPace(), int(db.Config().MaxConns)
	store := &Store{
		core: core, pool: pool, seen: confirmations{pool: pool},
		limit: limit{pool: pool, most: cfg.SessionsPerSubject, action: cfg.SessionsPerSubjectAction, turns: inTurn, pace: pace}, turns: inTurn, pace: pace,
		saysApart: on.saysApart,
		creations: queue(conns, on.create), readings: queue(conns, on.read), rotations: queue(conns, on.rotate),
		loadings: queue(conns, on.load), writings: queue(conns, on.write), revocations: queue(conns, on.revoke),
	}
	store.seen.primary = &store.primary
	if cfg.CompasSigningKey != "" {
		if store.compas, err = compas.New(pool, cfg.CompasSigningKey, cfg.Tokens, on.rules); err != nil {
			return nil, err
		}
	}
	return store, nil
}

// queue makes calls share a statement, of which no more are under way than there are
// connections.
func queue[T any](conns int, statement func(context.Context, []*groupcommit.Call[T]) error) *groupcommit.Queue[T] {
	return groupcommit.New(conns, statement, isOutage)
}

const pingQuery = `
SELECT current_setting('transaction_read_only')::boolean, clock_timestamp(), current_setting('citus.shard_count', true) IS NOT NULL
FROM (SELECT count(*) FROM (SELECT "generation" FROM "sessionStoreToken" LIMIT 0) t) c
WHERE ` + primary.Only

// Ping checks that the database answers, has the tables, and accepts writes. It also
// reads the time, and whether there is Citus: see [statements.change].
func (s *Store) Ping(ctx context.Context) error {
	var readOnly, isCitus bool
	var now time.Time
	learn := s.clock.asking()
	err := s.pool.QueryRow(ctx, pingQuery).Scan(&readOnly, &now, &isCitus)
	if err == nil && readOnly {
		err = primary.ErrReadOnly
	}
	if err != nil {
		s.primary.See(ctx, s.pool.Pool, err)
		return sessionerr.Unavailable("ping", err)
	}
	learn(now)
	if isCitus {
		s.saysApart.Store(true)
	}
	return nil
}

// Run records which token pairs were seen in use, in batches, until ctx ends;
// then it writes the rest and returns nil. It must run for as long as the store is
// used. If it does not run, Get itself records a pair's first use, which costs
// that call a second round trip.
//
// If records are lost in a crash, or while the database is down, a theft
// looks like a lost response for one generation longer, never the reverse.
func (s *Store) Run(ctx context.Context) error {
	s.seen.run(ctx)
	return nil
}

// Now is the database's time if the store has a running [Store.Verifier]: it is
// extrapolated from the time that the verifier last received, and costs no query.
// Otherwise it is the time of this process's clock. Check proofs of possession with
// it.
func (s *Store) Now() time.Time { return s.clock.now() }

// ClientIDs are the ids of the clients whose sessions the store makes, the first one first.
func (s *Store) ClientIDs() []string { return s.cfg.clientIDs() }

func (s *Store) begin(ctx context.Context, operation Operation) context.Context {
	for _, o := range s.cfg.Observers {
		ctx = o.Begin(ctx, operation)
	}
	return ctx
}

func (s *Store) end(ctx context.Context, result Result) {
	s.primary.See(ctx, s.pool.Pool, result.Err)
	for _, o := range slices.Backward(s.cfg.Observers) {
		o.End(ctx, result)
	}
}
