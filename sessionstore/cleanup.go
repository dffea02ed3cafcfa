package sessionstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// cleanupLock is any number that nothing else in the installation locks. The lock
// lock lasts for one batch: a runner that finds it taken backs off.
const cleanupLock = 5_071_224_962_148_203

// before is the time before which something must have happened to be due, and
// beforeDay its day.
const (
	before    = `now() - $1 * interval '1 s'`
	beforeDay = `((` + before + `) AT TIME ZONE 'UTC')::date`
)

// A session that Compas began may have several rows without a shared refresh token.
// It ends with the last of them. The others are looked up by an index, as in
// [hasLivePair].
const (
	isOneOfMany = `COALESCE((
    SELECT true FROM "sessionStoreToken" o WHERE o."session" = r."session" AND o."id" <> r."id" AND o."refreshToken" IS NULL LIMIT 1), false)`

	// isFirst takes each session once. IS TRUE keeps PostgreSQL from looking up all smaller ids.
	isFirst = `NOT COALESCE((
    SELECT true FROM "sessionStoreToken" o WHERE o."session" = r."session" AND (o."id" < r."id") IS TRUE AND o."refreshToken" IS NULL LIMIT 1), false)`

	isExpired     = `r."accessExpiresAt" IS NOT NULL AND NOT ` + isOneOfMany
	isSuperfluous = `r."refreshToken" IS NULL AND (r."accessExpiresAt" IS NULL OR ` + isOneOfMany + `)`
	hasPair       = `COALESCE((SELECT true FROM "sessionStoreToken" r WHERE r."session" = s."id" AND r."refreshToken" IS NULL LIMIT 1), false)`
)

// Each kind of row to remove has a query that finds its rows by an index, so that
// the cost depends on what is found and not on the table's size.
const (
	dueExpired = `"sessionStoreToken" r WHERE r."expiresOn" < ` + beforeDay + ` AND ` + isExpired

	dueRevoked = `"sessionStore" s WHERE s."revokedAt" < ` + before + ` AND ` + hasPair

	// The sessions that ended when everyone was signed out are, by their creation, the first of those
	// that were not revoked.
	dueSignedOut = `"sessionStore" s WHERE s."createdAt" <= (SELECT "at" FROM ` + dueEra + ` d) AND s."revokedAt" IS NULL AND ` + isOfDueEra

	dueAged = `"sessionStore" s WHERE s."createdAt" < ` + before + ` AND s."revokedAt" IS NULL`

	dueSuperfluous = `"sessionStoreToken" r WHERE r."expiresOn" < ` + beforeDay + ` AND ` + isSuperfluous
)

// dueEra is the latest era that began long enough ago: sessions of earlier ones are due.
const (
	dueEra = `(SELECT "era", "at" FROM "sessionStoreEra" WHERE "at" < ` + before + ` ORDER BY "era" DESC LIMIT 1)`

	isOfDueEra = `COALESCE((SELECT max(COALESCE(r."era", 0)) FROM "sessionStoreToken" r WHERE r."session" = s."id" AND r."refreshToken" IS NULL) < (SELECT "era" FROM ` + dueEra + ` d), false)`
)

// A row that was found is looked up by its id, and must still be due. The
// columns are compared as expressions, so that PostgreSQL uses no other index,
// which may still have the entries of everything removed before.
const (
	stillExpired     = `r."expiresOn" + 0 < ` + beforeDay + ` AND ` + isExpired
	stillRevoked     = `(s."revokedAt" + interval '0' < ` + before + ` OR CASE WHEN s."revokedAt" IS NULL THEN ` + isOfDueEra + ` END) AND ` + isFirst
	stillAged        = `s."createdAt" + interval '0' < ` + before + ` AND CASE WHEN s."revokedAt" IS NULL THEN true ELSE false END`
	stillSuperfluous = `r."expiresOn" + 0 < ` + beforeDay + ` AND ` + isSuperfluous
)

// A batch locks what it removes in the order of all other statements, and
// skips rows that another transaction has locked, and sessions whose theft has not
// been reported yet.
func removeQuery(stillDue string) string {
	return `
WITH "lock" AS MATERIALIZED (
  SELECT pg_try_advisory_xact_lock("sessionStoreLock"($3)) AS "got"
), "doomed" AS MATERIALIZED (
  SELECT s."id" FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
  WHERE s."id" = ANY ($2) AND s."leakReport" IS NULL AND ` + stillDue + ` AND (SELECT "got" FROM "lock")
  FOR UPDATE OF s, r SKIP LOCKED
), "token" AS (
  DELETE FROM "sessionStoreToken" t USING "doomed" WHERE t."session" = "doomed"."id" RETURNING t."refreshToken"
), "session" AS (
  DELETE FROM "sessionStore" s USING "doomed" WHERE s."id" = "doomed"."id" RETURNING 1
)
SELECT (SELECT "got" FROM "lock"), (SELECT count(*) FROM "session"), (SELECT count(*) FROM "token" WHERE "refreshToken" IS NULL)`
}

// The access rows of Compas are deleted explicitly: in tables that an early
// Compas made, the foreign key would turn them into refresh rows.
const removeSuperfluousQuery = `
WITH "lock" AS MATERIALIZED (
  SELECT pg_try_advisory_xact_lock("sessionStoreLock"($3)) AS "got"
), "doomed" AS MATERIALIZED (
  SELECT r."id", r."session" FROM "sessionStoreToken" r JOIN "sessionStore" s ON s."id" = r."session"
  WHERE r."id" = ANY ($2) AND s."leakReport" IS NULL AND ` + stillSuperfluous + ` AND (SELECT "got" FROM "lock")
  FOR UPDATE OF s, r SKIP LOCKED
), "access" AS (
  DELETE FROM "sessionStoreToken" a USING "doomed" WHERE a."refreshToken" = "doomed"."id"
), "refresh" AS (
  DELETE FROM "sessionStoreToken" r USING "doomed" WHERE r."id" = "doomed"."id" RETURNING 1
), "session" AS (
  DELETE FROM "sessionStore" s WHERE s."id" IN (SELECT "session" FROM "doomed") AND NOT EXISTS (
    SELECT FROM "sessionStoreToken" o WHERE o."session" = s."id" AND o."refreshToken" IS NULL
      AND o."id" NOT IN (SELECT "id" FROM "doomed"))
  RETURNING 1
)
SELECT (SELECT "got" FROM "lock"), (SELECT count(*) FROM "session"), (SELECT count(*) FROM "refresh")`

// endAgedQuery ends sessions that are too old, and removes nothing: verifiers must
// learn of it first. It works like a requested revocation, including the statement
// that follows for their tokens. The condition that reads "told" is always true.
const endAgedQuery = `
WITH "lock" AS MATERIALIZED (
  SELECT pg_try_advisory_xact_lock("sessionStoreLock"($3)) AS "got"
), "target" AS MATERIALIZED (
  SELECT s."id", '` + string(ReasonMaxAge) + `' AS "reason", NULL::text AS "by", ` + ownXid + ` FROM "sessionStore" s
  WHERE s."id" = ANY ($2) AND ` + stillAged + ` AND (SELECT "got" FROM "lock")
  FOR NO KEY UPDATE OF s SKIP LOCKED
), ` + revokeTargets + `
SELECT (SELECT "got" FROM "lock") AND (SELECT count(*) FROM "told") >= 0, (SELECT count(*) FROM "session"), 0::bigint`

// ruleQueries are the queries of one kind.
type ruleQueries struct{ count, find, remove string }

// The oldest come first, by the column that the index is on: where much is due,
// PostgreSQL would otherwise expect to find enough of it early in another
// index, and read through all sessions in use. They became due the retention after they ended.
func queriesOf(id, due, oldest, ended, remove string) ruleQueries {
	return ruleQueries{`SELECT count(*) FROM ` + due, `SELECT ` + id + `, ` + before + ` - ` + ended + ` FROM ` + due + ` ORDER BY ` + oldest + ` LIMIT $2`, remove}
}

// pairExpired is when a pair expired that expires on a day: at its end.
const pairExpired = `(r."expiresOn" + 1)::timestamp AT TIME ZONE 'UTC'`

// revokedQueries are about sessions that were revoked, one by one or by signing everyone out.
var revokedQueries = func() ruleQueries {
	one := queriesOf(`s."id"`, dueRevoked, `s."revokedAt"`, `s."revokedAt"`, removeQuery(stillRevoked))
	all := queriesOf(`s."id"`, dueSignedOut, `s."createdAt"`, `(SELECT "at" FROM `+dueEra+` d)`, "")
	return ruleQueries{`SELECT (` + one.count + `) + (` + all.count + `)`, `SELECT * FROM ((` + one.find + `) UNION ALL (` + all.find + `)) d LIMIT $2`, one.remove}
}()

var cleanupQueries = map[cleanup.Kind]ruleQueries{
	cleanup.Expired:     queriesOf(`r."session"`, dueExpired, `r."expiresOn"`, pairExpired, removeQuery(stillExpired)),
	cleanup.Revoked:     revokedQueries,
	cleanup.Aged:        queriesOf(`s."id"`, dueAged, `s."createdAt"`, `s."createdAt"`, endAgedQuery),
	cleanup.Superfluous: queriesOf(`r."id"`, dueSuperfluous, `r."expiresOn"`, pairExpired, removeSuperfluousQuery),
}

func queriesFor(rule cleanup.Rule) (ruleQueries, error) {
	q, ok := cleanupQueries[rule.Kind]
	if !ok {
		return q, argumentError("kind", "%q is not a kind of cleanup", rule.Kind)
	}
	return q, nil
}

// CountDue counts what a rule of cleanup would remove now, or end because of its
// age. Expiry has a resolution of a day, in UTC. Superfluous pairs are those that
// Compas made, or that belong to a session that it began, which may have several.
func (s *Store) CountDue(ctx context.Context, rule cleanup.Rule) (int64, error) {
	q, err := queriesFor(rule)
	if err != nil {
		return 0, err
	}
	var n int64
	if err := s.pool.QueryRow(ctx, q.count, pgvalue.Seconds(rule.After)).Scan(&n); err != nil {
		return 0, sessionerr.Unavailable("count what is to be cleaned up", err)
	}
	return n, nil
}

// FindDue returns up to limit of what [Store.CountDue] counts, the oldest first;
// fewer if there are no more.
func (s *Store) FindDue(ctx context.Context, rule cleanup.Rule, limit int) (cleanup.Due, error) {
	q, err := queriesFor(rule)
	if err != nil {
		return cleanup.Due{}, err
	}
	var due cleanup.Due
	batch := &pgx.Batch{}
	batch.Queue(cleanupSettingsQuery, milliseconds(findTimeout), false)
	batch.Queue(q.find, pgvalue.Seconds(rule.After), limit).Query(func(rows pgx.Rows) error {
		var id uuid.UUID
		_, err := pgx.ForEachRow(rows, []any{&id, &due.Overdue}, func() error {
			due.IDs = append(due.IDs, id)
			return nil
		})
		return err
	})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return cleanup.Due{}, sessionerr.Unavailable("find what is to be cleaned up", err)
	}
	return due, nil
}

// findTimeout limits one search, which locks nothing.
const findTimeout = time.Minute

// The settings last for the transaction, which consists of the two statements of
// one round trip, even behind a pooler. A few of many rows are best found one by
// one through indexes; without statistics, as after a restore, PostgreSQL would
// instead scan a whole table for each batch. Parallel workers are off: the other
// processors are for callers that wait. A removal need not be on the disk when it is committed:
// a session that a crash brings back is still due. So a batch waits for no disk and no standby, and
// other commits share the disk with one less.
const cleanupSettingsQuery = `
SELECT set_config('statement_timeout', $1, true), set_config('jit', 'off', true),
  set_config('synchronous_commit', CASE WHEN $2 THEN 'off' ELSE current_setting('synchronous_commit') END, true),
  set_config('max_parallel_workers_per_gather', '0', true), set_config('enable_sort', 'off', true),
  set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
  set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`

// tookQuery follows the other statements of a batch: at the end of one, PostgreSQL looks for rows that refer to each
// of those that were deleted, which takes longer than deleting them.
const tookQuery = `SELECT clock_timestamp() - transaction_timestamp()`

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// RemoveDue removes in one transaction those of ids, as [Store.FindDue] returns
// them, that are still due, but skips locked rows. Removing a session removes all
// its pairs, and removing its last pair removes the session. Sessions that are too old are revoked, and removed later
// as revoked. The error is [ErrCleanupRunning] while another batch is being removed, and [cleanup.ErrSlow] if
// PostgreSQL gave up, which it does after the timeout.
func (s *Store) RemoveDue(ctx context.Context, rule cleanup.Rule, ids []uuid.UUID, timeout time.Duration) (cleanup.Removed, error) {
	q, err := queriesFor(rule)
	if err != nil {
		return cleanup.Removed{}, err
	}
	// PostgreSQL's own timeout does not cover what it does before it begins the statement.
	limited, cancel := context.WithTimeout(ctx, timeout+time.Second)
	defer cancel()
	var got bool
	var removed cleanup.Removed
	batch := &pgx.Batch{}
	batch.Queue(cleanupSettingsQuery, milliseconds(timeout), rule.Kind != cleanup.Aged)
	batch.Queue(q.remove, pgvalue.Seconds(rule.After), ids, int64(cleanupLock)).QueryRow(func(row pgx.Row) error {
		return row.Scan(&got, &removed.Sessions, &removed.Pairs)
	})
	if rule.Kind == cleanup.Aged {
		batch.Queue(revokeTokensQuery)
	}
	batch.Queue(tookQuery).QueryRow(func(row pgx.Row) error { return row.Scan(&removed.Took) })
	switch err := s.pool.SendBatch(limited, batch).Close(); {
	case err != nil && ctx.Err() == nil && (gaveUp(err) || limited.Err() != nil):
		return cleanup.Removed{}, fmt.Errorf("%w: %w", cleanup.ErrSlow, sessionerr.Unavailable("clean up", err))
	case err != nil:
		return cleanup.Removed{}, sessionerr.Unavailable("clean up", err)
	case !got:
		return cleanup.Removed{}, ErrCleanupRunning
	}
	return removed, nil
}

// gaveUp reports whether PostgreSQL ended a statement that took too long, or that
// was in the way of others: query_canceled, lock_not_available, deadlock_detected.
func gaveUp(err error) bool {
	known, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (known.Code == "57014" || known.Code == "55P03" || known.Code == "40P01")
}

// A session that expires on a day has done so at its end.
const oldestEndedQuery = `
SELECT LEAST(
  (SELECT (min("expiresOn") + 1)::timestamp AT TIME ZONE 'UTC' FROM "sessionStoreToken" WHERE "expiresOn" < (now() AT TIME ZONE 'UTC')::date),
  (SELECT min("revokedAt") FROM "sessionStore" WHERE "revokedAt" IS NOT NULL))`

// OldestEnded returns when the first of all stored sessions ended: when
// it was revoked, or at the end of the day in UTC on which it expired. It is zero
// if none has. The answer is at the beginning of two indexes.
func (s *Store) OldestEnded(ctx context.Context) (time.Time, error) {
	var oldest *time.Time
	if err := s.pool.QueryRow(ctx, oldestEndedQuery).Scan(&oldest); err != nil {
		return time.Time{}, sessionerr.Unavailable("find the oldest session that has ended", err)
	}
	return pgvalue.OrZero(oldest), nil
}
