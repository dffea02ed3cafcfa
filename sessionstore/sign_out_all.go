package sessionstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/revocations"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// beginEraQuery begins the next era, or the era $1 if that has not begun, as of $2 or else of now. An era
// as of an earlier time is not begun if everyone was signed out since.
const beginEraQuery = `
WITH "next" AS MATERIALIZED (
  SELECT COALESCE($1::bigint, max("era") + 1, 1) AS "era", COALESCE($2::timestamptz, now()) AS "at" FROM "sessionStoreEra"
  HAVING COALESCE(max("era") < $1, max("at") < $2, true)
), "began" AS (
  INSERT INTO "sessionStoreEra" ("era", "at", "reason", "by")
  SELECT "era", "at", $3::text, $4::text FROM "next"
  ON CONFLICT DO NOTHING
  RETURNING "era"
), "told" AS MATERIALIZED (
  SELECT ` + notify + ` AS "is" FROM "began"
)
SELECT "era", (SELECT count(*) FROM "told") FROM "began"`

// joinEraQuery gives the era $1 to the sessions that were created after $2 by statements that did not know
// of it. Sessions from the future are not among them: the clock was ahead when they were made. They are
// locked in the order of their ids, as everywhere.
const joinEraQuery = `
UPDATE "sessionStoreToken" SET "era" = $1
WHERE "session" = ANY (ARRAY(
    SELECT "id" FROM "sessionStore" WHERE "createdAt" > $2 AND "createdAt" <= clock_timestamp() AND "revokedAt" IS NULL
    ORDER BY "id" FOR NO KEY UPDATE))
  AND COALESCE("era", 0) < $1`

// errBegun says that another era had begun.
var errBegun = errors.New("an era had begun")

// beginner is a pool, or a connection.
type beginner interface {
	executor
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// beginEra begins an era, and returns it. If the era is as of an earlier time, sessions that were created
// since join it: with it, and again after it, as statements that did not see it were creating some.
func beginEra(ctx context.Context, db beginner, o revocations.SignOut) (begun int64, err error) {
	join := func(db executor) error {
		if o.At.IsZero() {
			return nil
		}
		_, err := db.Exec(ctx, joinEraQuery, begun, o.At)
		return err
	}
	err = pgx.BeginTxFunc(ctx, db, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		var told int64
		switch err := tx.QueryRow(ctx, beginEraQuery, pgvalue.OrNull(o.Era), pgvalue.OrNull(o.At), o.Reason, pgvalue.OrNull(o.By)).Scan(&begun, &told); {
		case pgvalue.IsNoRows(err):
			return errBegun
		case err != nil:
			return err
		}
		return join(tx)
	})
	if err != nil {
		return 0, err
	}
	return begun, join(db)
}

// mostEras is how often beginning an era is attempted while others are begun at the same time.
const mostEras = 10

// signOutAll begins an era, and returns it; zero if everyone was signed out since o.At.
func (s *Store) signOutAll(ctx context.Context, o revocations.SignOut) (begun int64, err error) {
	for range mostEras {
		switch begun, err = beginEra(ctx, s.pool, o); {
		case err == nil:
			return begun, nil
		case !errors.Is(err, errBegun):
			return 0, sessionerr.Unavailable("sign everyone out", err)
		case !o.At.IsZero():
			return 0, nil
		}
		// Another era began at the same time. Users who have signed in since are to be signed out as well.
	}
	return 0, sessionerr.Unavailable("sign everyone out", err)
}

// SignOutAll ends all sessions at once, however many there are, by one row: once it has returned, no
// refresh, Get or Update of a session that existed succeeds, as after [Store.Invalidate] of each, and
// verifiers refuse their tokens within their bound, by one entry in their sets. A refresh that is under way
// may still be answered; its tokens are refused. Sessions that are created afterwards are not affected,
// whatever the clocks show, and neither is a session that had ended before.
//
// The sessions' rows stay as they are until cleanup removes them: [Store.RevokeSignedOut] changes
// them, for events. Without a cause it is [ReasonAllSignedOut].
func (s *Store) SignOutAll(ctx context.Context, cause ...Cause) error {
	return s.SignOutAllBefore(ctx, time.Time{}, cause...)
}

// SignOutAllBefore is [Store.SignOutAll] as of a time that has passed, by the database's clock: sessions
// that were created since stay. It does nothing if everyone was signed out since. A zero time means
// now.
func (s *Store) SignOutAllBefore(ctx context.Context, before time.Time, cause ...Cause) (err error) {
	result := Result{Operation: OperationRevoke}
	ctx = s.begin(ctx, OperationRevoke)
	defer func() {
		result.Err = err
		s.end(ctx, result)
	}()
	why, err := causeOf(cause, ReasonAllSignedOut)
	if err != nil {
		return err
	}
	begun, err := s.signOutAll(ctx, revocations.SignOut{At: before, Reason: string(why.Reason), By: why.By})
	result.Everyone = begun != 0
	return err
}

// signOutAnew begins an era again, as it began before, if it was lost in a failover or a restore, and
// reports whether it was.
func signOutAnew(ctx context.Context, conn *pgx.Conn, o revocations.SignOut) (bool, error) {
	switch _, err := beginEra(ctx, conn, o); {
	case errors.Is(err, errBegun):
		return false, nil
	case err != nil:
		return false, sessionerr.Unavailable("sign everyone out again", err)
	}
	return true, nil
}

const tellsEventsQuery = `SELECT EXISTS (SELECT FROM "sessionStoreEventsBegan") WHERE ` + primary.Only

// TellsEvents reports whether a service on this database notifies other systems of what happens to
// sessions, or has done so.
func (s *Store) TellsEvents(ctx context.Context) (is bool, err error) {
	if err := s.pool.QueryRow(ctx, tellsEventsQuery).Scan(&is); err != nil {
		return false, sessionerr.Unavailable("read whether there are events", err)
	}
	return is, nil
}
