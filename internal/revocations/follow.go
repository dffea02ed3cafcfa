package revocations

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/verifier"
)

const (
	// wakeGap is the minimum time between queries caused by notifications:
	// revocations that arrive together are read together, and however many
	// there are, a replica asks at most a hundred times per second.
	wakeGap = 10 * time.Millisecond
	// revocationBatch is how many sessions are passed to the set at a time.
	revocationBatch = 4096
	// loadPatience is how long the database may take to begin sending all
	// revocations, or to continue. For new ones it is half the bound, and up to
	// maxPatience times more after that was not enough.
	loadPatience = time.Minute
	maxPatience  = 16
)

const makeEpochQuery = `INSERT INTO "sessionStoreEpoch" ("id") VALUES (gen_random_uuid()) ON CONFLICT DO NOTHING`

// placeEpochQuery makes another epoch, unless the present one is of this server. It records the server and
// the transaction in the same way as a revocation records its transaction. An engine that keeps the rows
// on another server may run a part of a statement there and a part here. The recorded transaction is
// then not the one that the row has, or not one of the server whose snapshot a follower reads,
// and followers must not take the one for the other. An earlier release recorded neither, and its
// epoch stays.
const placeEpochQuery = `
WITH "own" AS MATERIALIZED (
  SELECT "only", pg_current_xact_id() AS "xid", ` + server + ` AS "server" FROM "sessionStoreEpoch"
), "epoch" AS (
  UPDATE "sessionStoreEpoch" e SET "id" = CASE WHEN e."server" IS NULL THEN e."id" ELSE $1::uuid END, "server" = o."server", "xid" = o."xid" FROM "own" o
  WHERE e."only" = o."only" AND (e."server" IS DISTINCT FROM o."server" OR e."xid"::xid <> e.xmin)
  RETURNING 1
)
SELECT count(*) FROM "epoch"`

// Follow implements [verifier.Source]. It has two separate connections, so that
// no burst of requests can take the pool's away from it: one to query four times
// within the bound, and one for notifications, which only make it query earlier.
// If that one is broken, the cost is only some milliseconds.
//
// If the database may have forgotten transactions, a third one revokes sessions again.
func (r *Source) Follow(ctx context.Context, set *verifier.Set) error {
	wake, doubted := make(chan struct{}, 1), make(chan struct{}, 1)
	var beside sync.WaitGroup
	beside.Go(func() { primary.Listen(ctx, r.Direct, Channel, wake) })
	beside.Go(func() { r.revokeAnew(ctx, doubted) })
	defer beside.Wait()

	f := follower{Source: r, set: set, doubted: doubted, factor: 1}
	defer func() { primary.Disconnect(ctx, f.conn) }()
	every := set.Bound() / 4
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		timer.Reset(every)
		asked := set.Now()
		if err := f.ask(ctx); err != nil && ctx.Err() == nil {
			set.Failed(sessionerr.Unavailable("follow revocations", err))
			r.primary.See(ctx, r.Pool, err)
		}
		select {
		case <-timer.C:
		case <-wake:
			timer.Reset(wakeGap - (set.Now().Mono - asked.Mono))
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// follower brings a set up to date, again and again.
type follower struct {
	*Source
	set  *verifier.Set
	conn *pgx.Conn // nil before the first
	at   state     // the set's, without an epoch before everything was read
	era  int64     // the latest that the set knows
	// doubted is signalled when the database may have forgotten ends of sessions.
	doubted chan<- struct{}
	// factor is the factor by which patience is extended.
	factor time.Duration
}

var (
	// errForgetful says that new revocations cannot be distinguished from old ones.
	errForgetful = errors.New("the database may have forgotten transactions")
	errSilent    = errors.New("the database was silent for too long")
	// errElsewhere says that transaction ids show nothing about the rows.
	errElsewhere = errors.New("the sessions are not on the server that numbers the transactions")
)

func (f *follower) ask(ctx context.Context) error {
	if f.conn == nil || f.conn.IsClosed() {
		var err error
		if f.conn, err = primary.Beside(ctx, f.Pool, connectTimeout); err != nil {
			return err
		}
	}
	if f.at.epoch != "" {
		if err := f.read(ctx, false); !errors.Is(err, errForgetful) {
			return err
		}
		f.at = state{}
	}
	if err := f.begin(ctx); err != nil {
		return err
	}
	return f.read(ctx, true)
}

// begin gives the database an epoch if it has none, as when it is new, has crashed, or has taken over.
func (f *follower) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loadPatience)
	defer cancel()
	now, err := f.queryState(ctx)
	if err != nil || now.epoch != "" {
		return err
	}
	if err := makeEpoch(ctx, f.conn); err != nil {
		return err
	}
	if now, err = f.queryState(ctx); err == nil && now.epoch == "" {
		err = errElsewhere
	}
	return err
}

// queryState is query for the database's state alone: anything else that it returns is read again.
func (f *follower) queryState(ctx context.Context) (state, error) {
	return f.query(ctx, stateOfDatabase, nil, func(verifier.Revocation, Ended) {}, func(verifier.Revocation, SignOut) {})
}

// execer is a connection, or a pool.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

func makeEpoch(ctx context.Context, db execer) error {
	if _, err := db.Exec(ctx, makeEpochQuery); err != nil {
		return err
	}
	_, err := db.Exec(ctx, placeEpochQuery, pgvalue.UUID(uuid.New()))
	return err
}

// read passes what is new, or everything, to the set as soon as it arrives. It
// gives up when nothing has arrived for a while.
func (f *follower) read(ctx context.Context, everything bool) error {
	query, args, patience := newlyRevokedQuery, f.newlyRevoked(f.at), f.factor*f.set.Bound()/2
	if everything {
		query, args, patience = revokedQuery, f.revoked(), loadPatience
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(patience, func() { cancel(errSilent) })
	defer watch.Stop()

	began, asked := f.set.Now(), time.Now() //nolint:forbidigo // only the elapsed time counts
	b, n := verifier.Batch{Reset: everything}, 0
	era := f.era
	if everything {
		era = 0
	}
	now, err := f.query(ctx, query, args, func(r verifier.Revocation, e Ended) {
		b.Sessions = append(b.Sessions, r)
		if !e.At.IsZero() {
			f.memory.add(e)
		}
		if n++; n%revocationBatch == 0 {
			watch.Reset(patience)
			f.set.Apply(b)
			b = verifier.Batch{Sessions: b.Sessions[:0]}
		}
	}, func(r verifier.Revocation, o SignOut) {
		f.memory.signedOut(o)
		if everything || o.Era != f.era {
			b.Sessions, era = append(b.Sessions, r), o.Era
		}
	})
	switch {
	case err != nil && context.Cause(ctx) != nil:
		f.factor = min(2*f.factor, maxPatience)
		return context.Cause(ctx)
	case err != nil:
		return err
	}
	if f.memory.see(now, asked) {
		select {
		case f.doubted <- struct{}{}:
		default: // it is already signalled
		}
	}
	switch {
	case now.epoch == "", !everything && (!now.follows(f.at) || n >= maxNewRevocations):
		return errForgetful
	case everything:
		b.From = now.now.Unix()
	}
	b.Proof, b.Now, b.Cursor = began, now.now, now.String()
	f.set.Apply(b)
	f.at, f.era, f.factor = now, era, 1
	return nil
}

// query runs a statement, in one round trip. Compiling it, which PostgreSQL does
// if it expects many rows, takes much longer than running it; and the pool's time
// limit is meant for requests. Each transaction sets both, because behind a pooler
// the next one may be on another server connection.
func (f *follower) query(ctx context.Context, query string, args []any, found func(verifier.Revocation, Ended), signedOut func(verifier.Revocation, SignOut)) (now state, err error) {
	var batch pgx.Batch
	batch.Queue(`BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY`)
	batch.Queue(`SET LOCAL jit = off`)
	batch.Queue(`SET LOCAL statement_timeout = '5min'`)
	batch.Queue(primary.ReadOnlyQuery).QueryRow(primary.CheckWrites)
	batch.Queue(query, args...).Query(func(rows pgx.Rows) error {
		now, err = f.readRevocations(rows, found, signedOut)
		return err
	})
	batch.Queue(`COMMIT`)
	if err := f.conn.SendBatch(ctx, &batch).Close(); err != nil {
		primary.Disconnect(ctx, f.conn) // in whatever state it is
		return state{}, err
	}
	return now, nil
}
