// Package revocations follows the ends of sessions in PostgreSQL: it is a
// [verifier.Source].
package revocations

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/era"
	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// maxNewRevocations is how many revocations are read as new ones. If there
// are more, all are read.
const maxNewRevocations = 1 << 17

// Channel is what verifiers listen on: a revocation wakes them, and so does superseding
// access tokens. Nothing else notifies, because committing a notification takes a
// lock that the whole database shares. Installations in other schemas of the database have
// the same channel, and wake each other: that costs a query, and changes nothing.
const Channel = "latchkey_revoked"

// connectTimeout is how long it may take to make a separate connection.
const connectTimeout = 2 * time.Second

// Source is a verifier's source of revocations.
type Source struct {
	Pool   *pgxpool.Pool
	Direct *pgxpool.Pool // past a pooler
	// MaxAccessTokenTTL is the longest lifetime that an access token may have.
	MaxAccessTokenTTL time.Duration
	// RevokeAnew revokes those of the sessions that are live, as they ended before, and
	// returns how many these were.
	RevokeAnew func(ctx context.Context, conn *pgx.Conn, sessions []Ended) (int64, error)
	// SignOutAnew signs everyone out as before, unless the database has that sign-out, and
	// reports whether it had forgotten it.
	SignOutAnew func(ctx context.Context, conn *pgx.Conn, o SignOut) (bool, error)
	// Logger records sessions that are revoked again.
	Logger *slog.Logger

	primary primary.Watch
	memory  memory
}

const strictQuery = `
SELECT "revokedAt" IS NULL AND NOT EXISTS (SELECT FROM "sessionStoreToken" WHERE "id" = $2 AND "supersededBelow" > $3)
  AND COALESCE((SELECT "era" FROM "sessionStoreToken" WHERE "id" = $2), 0)` + era.Continues + `
FROM "sessionStore" WHERE "id" = $1 AND ` + primary.Only

// Strict checks one token: only whether its session was revoked, or the token superseded.
func (r *Source) Strict(ctx context.Context, _ string, claims tokens.Claims) error {
	var live bool
	switch err := (isolation.Pool{Pool: r.Pool}).QueryRow(ctx, strictQuery, claims.SessionID, claims.TokenID, claims.Generation).Scan(&live); {
	case pgvalue.IsNoRows(err):
		return verifier.ErrRevoked
	case err != nil:
		r.primary.See(ctx, r.Pool, err)
		return sessionerr.Unavailable("ask whether a session was revoked", err)
	case !live:
		return verifier.ErrRevoked
	}
	return nil
}

// The statements below first return the state of the database that they saw, and then
// when everyone was last signed out, the sessions, and the pairs with superseded access
// tokens. All are of one snapshot, because they are one statement. Sessions of earlier eras are
// left out: one row says that they have ended.

// stateOfDatabase is the database's state, or an error on a standby. A snapshot
// determines for each transaction whether it is visible, so what is new is exactly
// what is visible now and was not then, however long a transaction took: neither a
// clock nor an overlap is needed. But that only holds as long as no transaction is
// forgotten, which is guarded by the epoch (see its migration), and on the server that
// has the rows: see [placeEpochQuery]. A dump has the epoch too, but not the row's transaction.
//
// In a schema that Citus distributes, the statement names no table outside it, so all
// of it runs on the node that has the rows, and by its transactions; after a move to another
// node the identifier is another one.
const stateOfDatabase = `
SELECT NULL::uuid, NULL::bigint, NULL::bigint, pg_current_snapshot()::text,
  (SELECT e."server" || '-' || e."id" FROM "sessionStoreEpoch" e WHERE e."server" = ` + server + ` AND e."xid"::xid = e.xmin), now(),
  NULL::timestamptz, NULL::text, NULL::text
WHERE ` + primary.Only + `
UNION ALL
(SELECT NULL, NULL, "era", NULL, NULL, NULL, "at", "reason", "by" FROM "sessionStoreEra" ORDER BY "era" DESC LIMIT 1)
`

// server identifies the server on which a statement, or this part of it, runs.
const server = `(SELECT "system_identifier"::text FROM pg_control_system())`

// sessionUntil is when the last access token of a revoked session s, whose tokens
// are in row t, has expired. The row has only the newest one: an earlier one may
// live longer, if the lifetime was lowered since, and a failover may have lost
// the last refresh. So it is the longest that any token can live, which
// no setting changes.
const sessionUntil = `ceil(extract(epoch FROM greatest(t."accessExpiresAt",
  s."revokedAt" + make_interval(secs => $1))))::bigint + $2`

// supersededUntil is the same for superseded access tokens of pair t.
const supersededUntil = `ceil(extract(epoch FROM greatest(t."accessExpiresAt",
  t."supersededAt" + make_interval(secs => $1))))::bigint + $2`

// withLastExpiry continues sessions s. An aggregate for each is looked up by an index: with
// a join, PostgreSQL may read the table.
const withLastExpiry = `LEFT JOIN LATERAL (
  SELECT max("accessExpiresAt") AS "accessExpiresAt", COALESCE(max("era"), 0) AS "era" FROM "sessionStoreToken" WHERE "session" = s."id"
) t ON true`

// ofThisEra is true of the sessions that withLastExpiry continues, if they ended one by one.
const ofThisEra = `t."era"` + era.Continues

// revokedQuery finds all. The order makes the planner use the index, which has only
// superseded tokens. How sessions ended is returned for those that a standby may lack.
const revokedQuery = stateOfDatabase + `UNION ALL
SELECT "id", "until", NULL, NULL, NULL, NULL,
  CASE WHEN "late" THEN "revokedAt" END, CASE WHEN "late" THEN "endReason" END, CASE WHEN "late" THEN "endedBy" END FROM (
  SELECT s."id", ` + sessionUntil + ` AS "until", s."revokedAt" > now() - interval '1 hour' AS "late", s."revokedAt", s."endReason", s."endedBy"
  FROM "sessionStore" s ` + withLastExpiry + `
  WHERE s."revokedAt" > now() - make_interval(secs => $3) AND ` + ofThisEra + `
) r WHERE "until" >= floor(extract(epoch FROM now()))
UNION ALL
SELECT t."id", ` + supersededUntil + `, t."supersededBelow", NULL, NULL, NULL, NULL, NULL, NULL FROM (
  SELECT "id", "accessExpiresAt", "supersededAt", "supersededBelow" FROM "sessionStoreToken" WHERE "supersededXid" >= '0'::xid8 ORDER BY "supersededXid"
) t WHERE t."supersededAt" > now() - make_interval(secs => $3)`

// newlyRevokedQuery finds by the index what was not visible in the snapshot $3:
// what began after it, and what was under way. Whatever the planner expects to
// find, it must not read a whole table several times per second, so it gets no
// choice: an order to keep, and [withLastExpiry].
const newlyRevokedQuery = stateOfDatabase + `UNION ALL
SELECT s."id", ` + sessionUntil + `, NULL, NULL, NULL, NULL, s."revokedAt", s."endReason", s."endedBy" FROM (
  (SELECT "id", "revokedAt", "endReason", "endedBy" FROM "sessionStore"
   WHERE "revokedXid" >= pg_snapshot_xmax($3::text::pg_snapshot) AND "revokedXid" < pg_snapshot_xmax(pg_current_snapshot())
   ORDER BY "revokedXid" LIMIT $4)
  UNION ALL
  (SELECT "id", "revokedAt", "endReason", "endedBy" FROM "sessionStore"
   WHERE "revokedXid" = ANY (ARRAY(SELECT pg_snapshot_xip($3::text::pg_snapshot)))
   ORDER BY "revokedXid" LIMIT $4)
) s ` + withLastExpiry + `
WHERE ` + ofThisEra + `
UNION ALL
SELECT t."id", ` + supersededUntil + `, t."supersededBelow", NULL, NULL, NULL, NULL, NULL, NULL FROM (
  (SELECT "id", "accessExpiresAt", "supersededAt", "supersededBelow" FROM "sessionStoreToken"
   WHERE "supersededXid" >= pg_snapshot_xmax($3::text::pg_snapshot) AND "supersededXid" < pg_snapshot_xmax(pg_current_snapshot())
   ORDER BY "supersededXid" LIMIT $4)
  UNION ALL
  (SELECT "id", "accessExpiresAt", "supersededAt", "supersededBelow" FROM "sessionStoreToken"
   WHERE "supersededXid" = ANY (ARRAY(SELECT pg_snapshot_xip($3::text::pg_snapshot)))
   ORDER BY "supersededXid" LIMIT $4)
) t`

// Since implements [verifier.Catcher].
func (r *Source) Since(ctx context.Context, cursor string) ([]verifier.Revocation, bool, error) {
	at, ok := parseState(cursor)
	if !ok {
		return nil, false, nil
	}
	rows, err := r.Pool.Query(ctx, newlyRevokedQuery, r.newlyRevoked(at)...)
	if err != nil {
		return nil, false, sessionerr.Unavailable("read revocations", err)
	}
	var found []verifier.Revocation
	now, err := r.readRevocations(rows, func(v verifier.Revocation, _ Ended) { found = append(found, v) }, func(v verifier.Revocation, _ SignOut) { found = append(found, v) })
	if err != nil {
		r.primary.See(ctx, r.Pool, err)
		return nil, false, sessionerr.Unavailable("read revocations", err)
	}
	return found, now.follows(at) && len(found) < maxNewRevocations, nil
}

func (r *Source) revoked() []any {
	return []any{pgvalue.Seconds(r.MaxAccessTokenTTL), pgvalue.Seconds(verifier.Slack), pgvalue.Seconds(r.MaxAccessTokenTTL + verifier.Slack)}
}

func (r *Source) newlyRevoked(since state) []any {
	return []any{pgvalue.Seconds(r.MaxAccessTokenTTL), pgvalue.Seconds(verifier.Slack), since.snapshot, maxNewRevocations}
}

// readRevocations passes on the rows of the statements above. Fields about a session's end that they do not fill are
// zero.
func (r *Source) readRevocations(rows pgx.Rows, found func(verifier.Revocation, Ended), signedOut func(verifier.Revocation, SignOut)) (state, error) {
	var id pgtype.UUID
	var until, below pgtype.Int8
	var now pgtype.Timestamptz
	var ended pgtype.Timestamptz
	var snapshot, epoch, reason, by pgtype.Text
	var at state
	_, err := pgx.ForEachRow(rows, []any{&id, &until, &below, &snapshot, &epoch, &now, &ended, &reason, &by}, func() error {
		switch {
		case below.Valid && !id.Valid:
			o := SignOut{Era: below.Int64, At: ended.Time, Reason: reason.String, By: by.String}
			signedOut(o.revocation(r.MaxAccessTokenTTL), o)
			return nil
		case below.Valid:
			found(verifier.Revocation{TokenID: id.Bytes, Below: below.Int64, Until: until.Int64}, Ended{})
			return nil
		case id.Valid:
			found(verifier.Revocation{SessionID: id.Bytes, Until: until.Int64}, Ended{ID: id.Bytes, At: ended.Time, Reason: reason.String, By: by.String})
			return nil
		}
		at = state{epoch: epoch.String, snapshot: snapshot.String, now: now.Time}
		return nil
	})
	return at, err
}
