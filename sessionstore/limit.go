package sessionstore

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// hasLivePair continues a query of sessions p. Each session's pair is looked up by its
// index: PostgreSQL turns an EXISTS into a join, for which it may read the table.
const hasLivePair = `COALESCE((
    SELECT true FROM "sessionStoreToken" r WHERE r."session" = p."id" AND r."refreshToken" IS NULL AND r."revokedAt" IS NULL AND r."expiresAt" > now() AND ` + ofThisEra + ` LIMIT 1), false)`

// makeRoomQuery looks at a page of the subject's sessions, oldest first; they are found by a range, as in [ofSubject]. If $3 is not
// null, it ends the oldest live ones so that only $3 remain. From a full page it retires those that have expired, or ended when everyone
// was signed out, so that they are not looked at again: they are revoked as of that time, without notification. A session that ended
// records the new session, $5, or how it ended. It waits for the locks of those to end in the order of their ids, as a sign-out does, and then for no
// others: a locked session is in use. Only a locked pair proves that a session has expired; if Compas left several, cleanup deals with
// them. If the session was created before, with the key $4, none ends for it. The session $6 does not count:
// the new one takes its place, if it is live. It is locked together with those that end, in one order. Rows of the page are looked up
// only by id: the CASEs keep PostgreSQL from reading all of an index of sessions that are not revoked.
const makeRoomQuery = `
WITH "before" AS MATERIALIZED (
  SELECT EXISTS (SELECT FROM "sessionStore" WHERE "creationKey" = $4::bytea) AS "isThere",
    $6::uuid IS NULL OR EXISTS (SELECT FROM "sessionStore" p WHERE p."id" = $6 AND p."revokedAt" IS NULL AND ` + hasLivePair + `) AS "mayReplace"
), "page" AS MATERIALIZED (
  SELECT "id", "createdAt" FROM "sessionStore" WHERE "subject" BETWEEN (SELECT $1::text) AND (SELECT $1::text) AND "revokedAt" IS NULL ORDER BY "subject", "id" LIMIT (SELECT $2::bigint)
), "live" AS MATERIALIZED (
  SELECT p."id", p."createdAt" FROM "page" p WHERE ` + hasLivePair + ` AND p."id" IS DISTINCT FROM $6
), "locked" AS MATERIALIZED (
  SELECT "id", ` + ownXid + ` FROM "sessionStore"
  WHERE "id" = ANY (ARRAY(
    SELECT "id" FROM "live" ORDER BY "createdAt" DESC, "id" DESC OFFSET CASE WHEN (SELECT "isThere" OR NOT "mayReplace" FROM "before") THEN $2 ELSE COALESCE($3::bigint, $2) END
  ) || $6::uuid) AND CASE WHEN "revokedAt" IS NULL THEN true ELSE "id" = $6 END
  ORDER BY "id" FOR NO KEY UPDATE
), "target" AS MATERIALIZED (
  SELECT "id", '` + string(ReasonLimit) + `' AS "reason", $5::text AS "by", "xid" FROM "locked" WHERE "id" IS DISTINCT FROM $6
), "pair" AS MATERIALIZED (
  SELECT r."session", LEAST(r."expiresAt", ended."at") AS "endedAt", CASE WHEN ended."at" <= r."expiresAt" THEN ended."reason" ELSE ` + expiry + ` END AS "reason", CASE WHEN ended."at" <= r."expiresAt" THEN ended."by" END AS "by"
  FROM "sessionStoreToken" r ` + endOfEra + `
  WHERE r."session" = ANY (ARRAY(
    SELECT "session" FROM "sessionStoreToken" WHERE "session" = ANY (ARRAY(SELECT "id" FROM "page")) AND "refreshToken" IS NULL GROUP BY "session" HAVING count(*) = 1
  )) AND (r."expiresAt" <= now() OR ended."at" IS NOT NULL) AND r."refreshToken" IS NULL AND r."accessExpiresAt" IS NOT NULL
    AND (SELECT count(*) FROM "target") >= 0 AND (SELECT count(*) FROM "page") = $2
  FOR NO KEY UPDATE OF r SKIP LOCKED
), "expired" AS MATERIALIZED (
  SELECT "id", ` + ownXid + ` FROM "sessionStore" WHERE "id" = ANY (ARRAY(SELECT "session" FROM "pair")) AND CASE WHEN "revokedAt" IS NULL THEN true ELSE false END
  FOR NO KEY UPDATE SKIP LOCKED
), "retired" AS (
  UPDATE "sessionStore" s SET ("revokedAt", "endReason", "endedBy") = (SELECT e."endedAt", e."reason", e."by" FROM "pair" e WHERE e."session" = s."id" LIMIT 1), "revokedXid" = (SELECT "xid" FROM "expired" LIMIT 1)
  WHERE s."id" = ANY (ARRAY(SELECT "id" FROM "expired"))
  RETURNING s."id"
), ` + revokeTargets + `
SELECT (SELECT count(*) FROM "page") = $2, (SELECT count(*) FROM "live"), (SELECT count(*) FROM "session"), (SELECT count(*) FROM "retired"), (SELECT count(*) FROM "told"), (SELECT "isThere" FROM "before"), (SELECT "mayReplace" FROM "before")`

// createLimitedQuery makes a session if its subject has room for it, which only a
// page that is not full can show.
const createLimitedQuery = `
WITH "new" AS (
  ` + newSession + `
  WHERE (
    SELECT count(*) < $24 AND count(*) FILTER (WHERE p."isLive") < $23 FROM (
      SELECT ` + hasLivePair + ` AND p."id" IS DISTINCT FROM $19 AS "isLive" FROM (
        SELECT "id" FROM "sessionStore" WHERE "subject" BETWEEN (SELECT $4::text) AND (SELECT $4::text) AND "revokedAt" IS NULL ORDER BY "subject", "id" LIMIT (SELECT $24::bigint)
      ) p
    ) p
  ) AND NOT EXISTS (SELECT FROM "sessionStore" WHERE "creationKey" = $18::bytea) AND ` + mayReplace + `
), ` + createRows

// limit makes sessions within a subject's limit.
type limit struct {
	pool   isolation.Pool
	most   int // zero for any number
	action LimitAction
	turns  *turns
	pace   *pace
}

// counts reports whether a session counts: only a subject has a limit.
func (l *limit) counts(subject string) bool { return l.most > 0 && subject != "" }

// mostHere is how many live sessions the subject may have in this database.
func (l *limit) mostHere(c *creation) int64 { return max(0, int64(l.most-c.elsewhere)) }

// create makes a session, and ends others for it, unless it is refused. If the subject
// has more sessions than fit on a page, some are first ended, or retired, in separate
// transactions: those stay ended even if there is an error.
func (l *limit) create(ctx context.Context, c *creation, data sealing) (ended perClient, err error) {
	release, err := l.turns.take(ctx, c.session.Subject)
	if err != nil {
		return nil, sessionerr.Unavailable("create a session", err)
	}
	defer release()
	step, err := l.try(ctx, c, data)
	for inVain := 0; ; {
		if isTaken(err) {
			return ended, errCreatedBefore
		}
		if err != nil {
			return ended, sessionerr.Unavailable("create a session", err)
		}
		ended.addAll(step.byClient)
		if inVain++; step.ended+step.retired > 0 {
			inVain = 0
		}
		switch {
		case step.made:
			return ended, nil
		case step.before, !step.mayReplace, c.replaced.id != uuid.Nil && !step.isFull && (l.action == EndOldest || step.live < l.mostHere(c)):
			return ended, errCreatedBefore // there was room, or none was needed
		case l.action == RefuseNew && (!step.isFull || step.live >= l.mostHere(c)):
			return ended, ErrTooManySessions
		case step.isFull && inVain == mostInVain:
			return ended, sessionerr.Unavailable("create a session", errInUse)
		}
		err = l.pace.do(ctx, func() (err error) {
			step, err = l.try(ctx, c, data)
			return err
		})
	}
}

// mostInVain is how often a creation may look at a page of sessions without being able to end or
// retire any. That happens while a sign-out on another replica has them locked, which is soon
// over.
const mostInVain = 20

var errInUse = errors.New("too many of the subject's sessions are in use at once")

// step is what one transaction did to make a session.
type step struct {
	isFull               bool // there may be more sessions than it looked at
	live, ended, retired int64
	byClient             perClient // those that ended
	made, before         bool
	mayReplace           bool // true where nothing is replaced
}

// try makes a session if there is, or can be made, room for it. All of it is one
// transaction and one round trip.
func (l *limit) try(ctx context.Context, c *creation, data sealing) (done step, err error) {
	page := int64(l.most) + pacedBatch
	var keep *int64
	if l.action == EndOldest {
		keep = new(max(0, l.mostHere(c)-1))
	}
	var given granted
	batch := &pgx.Batch{}
	batch.Queue(lockSubjectQuery, c.session.Subject)
	batch.Queue(makeRoomQuery, c.session.Subject, page, keep, c.once.key, c.session.ID.String(), c.replaced.idOrNull()).QueryRow(func(row pgx.Row) error {
		var told int64
		return row.Scan(&done.isFull, &done.live, &done.ended, &done.retired, &told, &done.before, &done.mayReplace)
	})
	var all perClient // with those that were retired
	batch.Queue(revokeTokensQuery).Query(readRevoked(&done.byClient, &all))
	if c.replaced.id != uuid.Nil {
		batch.Queue(lockReplacedQuery, pgvalue.UUID(c.replaced.id))
	}
	batch.Queue(createLimitedQuery, slices.Concat(c.args(), []any{c.once.key}, c.replaced.args(), []any{l.mostHere(c), page})...).QueryRow(func(row pgx.Row) error {
		var id [16]byte
		err := row.Scan(append([]any{&id}, given.dest()...)...)
		if done.made = err == nil; pgvalue.IsNoRows(err) {
			return nil // after a failed batch the driver prepares its statements again
		}
		return err
	})
	if c.once.key != nil {
		data.name(batch, c)
	}
	from := c.endReplaced(batch)
	if err := l.pool.SendBatch(ctx, batch).Close(); err != nil {
		return step{}, err // nothing was ended: it is one transaction
	}
	if done.made {
		c.is(given)
		c.got(from)
	}
	return done, nil
}
