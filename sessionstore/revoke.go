package sessionstore

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/era"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/revocations"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// A revocation is two statements of one transaction and one round trip. The first
// revokes the sessions, for whose locks it may have to wait. Changes made to them
// meanwhile, such as the pair of a session that was taken over from Compas, are not in
// its snapshot. So the second statement, which has its own snapshot, revokes their
// tokens; and no pair is made without the session's lock.

// tellVerifiers continues the CTE "session", which has revoked sessions.
const tellVerifiers = `"told" AS MATERIALIZED (
  SELECT ` + notify + ` AS "is" FROM "session" LIMIT 1
)`

// notify wakes those who follow revocations. If a statement was passed on to the node of Citus that has the rows, no
// replica listens there, and a transaction over several nodes would fail.
const notify = `CASE WHEN current_setting('application_name') NOT LIKE 'citus_internal%' THEN pg_notify('` + revocations.Channel + `', '') IS NULL ELSE true END`

// ownXid is the transaction that revokes a session, which is what the followers of revocations ask
// by. It is read where the rows lie, along with one of them: what an update says itself, an engine that
// spreads tables fills in before it passes the statement on, and its transaction is another one.
const ownXid = `pg_current_xact_id() AS "xid"`

// revocationTime is when a session s is revoked: now. If the database's clock was ahead
// when it made tokens of the session, it is when it made the last of them, since a
// revocation is remembered for as long as any earlier token may live.
const revocationTime = `GREATEST(now(), ` + tokensMade + `)`

// tokensMade are times after which no token of a session s was made: none that its rows record,
// and none in commits that were lost in a failover to a server whose clock is behind.
const tokensMade = `s."createdAt", (SELECT max(COALESCE(t."issuedAt", t."createdAt")) FROM "sessionStoreToken" t WHERE t."session" = s."id"),
    (SELECT "tokensMade" FROM "sessionStoreClock" WHERE "one")`

// revokeTargets continues the CTE "target", which has locked sessions in the order
// of their ids, and says why they end, and by which transaction. They are found by their ids: how many there may be
// know the limit on their number, and for many it would read the table.
const revokeTargets = `"session" AS (
  UPDATE "sessionStore" s SET "revokedAt" = ` + revocationTime + `, "revokedXid" = "target"."xid",
    "endReason" = "target"."reason", "endedBy" = "target"."by" FROM "target"
  WHERE s."id" = ANY (ARRAY(SELECT "id" FROM "target")) AND s."id" = "target"."id"
  RETURNING s."id"
), ` + tellVerifiers

// contextAlone is the context of a row r, without the session's own claims; null for none.
const contextAlone = `CASE WHEN strpos(r."claims", E'\n') > 0 THEN split_part(r."claims", E'\n', 1) || '}' END`

const invalidateQuery = `
WITH "own" AS MATERIALIZED (
  SELECT ` + ownXid + ` FROM "sessionStore" WHERE "id" = $1
), "session" AS (
  UPDATE "sessionStore" s SET "revokedAt" = ` + revocationTime + `, "revokedXid" = (SELECT "xid" FROM "own"),
    "endReason" = $3, "endedBy" = $4
  WHERE "id" = $1 AND "revokedAt" IS NULL AND ($2::text IS NULL OR "subject" = $2)
  RETURNING "id", "subject"
), ` + tellVerifiers + `
SELECT EXISTS (SELECT FROM "sessionStore" WHERE "id" = $1 AND ($2::text IS NULL OR "subject" = $2)), (SELECT count(*) FROM "told"),
  (SELECT "subject" FROM "session"), (SELECT "client" FROM "sessionStoreToken" WHERE "session" = $1 AND "refreshToken" IS NULL LIMIT 1),
  (SELECT ` + contextAlone + ` FROM "sessionStoreToken" r WHERE "session" = $1 AND "refreshToken" IS NULL LIMIT 1)`

// revokeTokensQuery revokes the tokens of the sessions that its transaction has
// revoked, and counts the sessions by client: those that were live, and all.
const revokeTokensQuery = `
WITH "ended" AS MATERIALIZED (
  SELECT "id" FROM "sessionStore" WHERE "revokedXid" = pg_current_xact_id_if_assigned()
), "token" AS (
  UPDATE "sessionStoreToken" SET "revokedAt" = now()
  WHERE "session" = ANY (ARRAY(SELECT "id" FROM "ended")) AND "revokedAt" IS NULL
  RETURNING "session", "client", "refreshToken", "expiresAt", "era"
)
SELECT COALESCE("client", ''), count(*) FILTER (WHERE "live"), count(*)
FROM (SELECT max("client") AS "client", bool_or("refreshToken" IS NULL AND "expiresAt" > now() AND COALESCE("era", 0)` + era.Continues + `) AS "live" FROM "token" GROUP BY "session") s
GROUP BY 1`

// revocation is one session to end, and the result.
type revocation struct {
	id      uuid.UUID
	subject string // whose it must be, if that matters
	cause   Cause

	exists, revoked bool
	// isDone is false for a session that another transaction has locked.
	isDone bool
	of     owner // if it was revoked
}

// owner is the owner of a session, with the context of its tokens.
type owner struct {
	subject pgtype.Text
	client  clientScanner
	context pgtype.Text
}

// actor is who acted for the subject.
func (o owner) actor() *tokens.Actor {
	context, _, err := tokens.SplitClaims(o.context.String)
	if err != nil {
		return nil // the session has ended nevertheless
	}
	return context.Actor
}

// revoke ends one session, and waits for its lock.
func revoke(ctx context.Context, db sender, r *revocation) error {
	var told int64
	batch := &pgx.Batch{}
	// A CTE that is not read is not run. There is one notification if there was a session to end.
	batch.Queue(invalidateQuery, pgvalue.UUID(r.id), pgvalue.OrNull(r.subject), r.cause.Reason, r.cause.by()).QueryRow(func(row pgx.Row) error {
		return row.Scan(&r.exists, &told, &r.of.subject, &r.of.client, &r.of.context)
	})
	batch.Queue(revokeTokensQuery)
	err := db.SendBatch(ctx, batch).Close()
	r.isDone, r.revoked = err == nil, told > 0
	return err
}

// lockSubjectQuery makes the creations of one subject wait for each other. It is a
// separate statement: one that waits has already taken its snapshot, and would miss
// the sessions that it waited for. Two subjects that share a hash
// only wait for each other. It comes before all row locks, and is never taken while
// holding one. It names a table, of which it reads nothing, so that an engine that
// spreads tables takes the lock where lockReplacedSubjectQuery does: next to the rows.
const lockSubjectQuery = `SELECT pg_advisory_xact_lock(hashtextextended($1, ` + subjectLocks + `)) FROM (SELECT count(*) FROM (SELECT FROM "sessionStoreClock" LIMIT 0) s) here`

// subjectLocks keeps the locks of subjects apart from others, and from those of another
// installation in the same database: see migrations/00027_locks.sql.
const subjectLocks = `"sessionStoreLock"(4913067152811520273)`

// revokeBatch is how many sessions are revoked in one transaction: few enough that
// a caller that needs one of them waits for some hundredths of a second.
const revokeBatch = 1000

// pacedBatch is the same for a subject with more sessions than a user has: paced work
// must hardly affect others.
const pacedBatch = 200

// revokeFirst is how many of a subject's sessions are revoked before pacing
// begins: more than a user has.
const revokeFirst = 100

// revoked is what a batch has revoked.
type revoked struct {
	sessions  int64
	live, all perClient   // all but those whose tokens were revoked before
	last      pgtype.UUID // of the ids
}

// revokeSome sends a query that revokes some sessions, and returns how many, whether
// verifiers were notified, and which came last. If they belong to one subject, none of
// them is replaced meanwhile: see lockReplacedSubjectQuery.
func revokeSome(ctx context.Context, db sender, subject, query string, args ...any) (r revoked, err error) {
	batch := &pgx.Batch{}
	if subject != "" {
		batch.Queue(lockSubjectQuery, subject)
	}
	batch.Queue(query, args...).QueryRow(func(row pgx.Row) error {
		var told int64
		return row.Scan(&r.sessions, &told, &r.last)
	})
	batch.Queue(revokeTokensQuery).Query(readRevoked(&r.live, &r.all))
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return revoked{}, err
	}
	return r, nil
}
