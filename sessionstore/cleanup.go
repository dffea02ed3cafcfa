package sessionstore

import (
	"context"
	"time"
)

// cleanupLock is any number that nothing else in the database locks. The lock
// lasts for one batch: a runner that finds it taken gives way.
const cleanupLock = 5_071_224_962_148_203

// Each kind of what is to be removed has a query for which an index gives the
// rows, so that the cost follows what is found and not the table's size.
const (
	expiredSessions = `FROM "sessionStoreToken" r JOIN "sessionStore" s ON s."id" = r."session"
  WHERE r."expiresOn" < ((now() - $1 * interval '1 s') AT TIME ZONE 'UTC')::date`

	revokedSessions = `FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
  WHERE s."revokedAt" < now() - $1 * interval '1 s'`

	// Ids start with the time of creation in milliseconds (RFC 9562 §5.7).
	agedSessions = `FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
  WHERE s."createdAt" < now() - $1 * interval '1 s' AND s."id" <
    (lpad(to_hex((extract(epoch FROM now() - $1 * interval '1 s') * 1000)::bigint), 12, '0') || repeat('f', 20))::uuid`
)

// A batch locks what it removes in the order of all other statements, and
// passes over what somebody else has locked.
func deleteQuery(sessions string) string {
	return `
WITH "lock" AS MATERIALIZED (
  SELECT pg_try_advisory_xact_lock($3) AS "got"
), "doomed" AS MATERIALIZED (
  SELECT s."id" ` + sessions + ` AND (SELECT "got" FROM "lock")
  LIMIT $2 FOR UPDATE OF s, r SKIP LOCKED
), "token" AS (
  DELETE FROM "sessionStoreToken" t USING "doomed" WHERE t."session" = "doomed"."id"
), "session" AS (
  DELETE FROM "sessionStore" s USING "doomed" WHERE s."id" = "doomed"."id" RETURNING 1
)
SELECT (SELECT "got" FROM "lock"), (SELECT count(*) FROM "session")`
}

func countQuery(sessions string) string { return `SELECT count(*) ` + sessions }

var (
	deleteExpiredQuery = deleteQuery(expiredSessions)
	deleteRevokedQuery = deleteQuery(revokedSessions)
	deleteAgedQuery    = deleteQuery(agedSessions)

	countExpiredQuery = countQuery(expiredSessions)
	countRevokedQuery = countQuery(revokedSessions)
	countAgedQuery    = countQuery(agedSessions)
)

// DeleteExpired removes up to limit sessions whose refresh token expired more
// than retention ago, to the day in UTC, and returns how many. It is
// [ErrCleanupRunning] while another batch is being removed.
func (s *Store) DeleteExpired(ctx context.Context, retention time.Duration, limit int) (int64, error) {
	return s.deleteBatch(ctx, deleteExpiredQuery, retention, limit)
}

// DeleteRevoked is [Store.DeleteExpired] for sessions that were revoked more
// than retention ago.
func (s *Store) DeleteRevoked(ctx context.Context, retention time.Duration, limit int) (int64, error) {
	return s.deleteBatch(ctx, deleteRevokedQuery, retention, limit)
}

// DeleteAged is [Store.DeleteExpired] for sessions that were created more than
// age ago, live ones too. It finds those with ids of version 7, as
// [Store.Create] makes them.
func (s *Store) DeleteAged(ctx context.Context, age time.Duration, limit int) (int64, error) {
	return s.deleteBatch(ctx, deleteAgedQuery, age, limit)
}

// CountExpired counts what [Store.DeleteExpired] would remove.
func (s *Store) CountExpired(ctx context.Context, retention time.Duration) (int64, error) {
	return s.count(ctx, countExpiredQuery, retention)
}

// CountRevoked counts what [Store.DeleteRevoked] would remove.
func (s *Store) CountRevoked(ctx context.Context, retention time.Duration) (int64, error) {
	return s.count(ctx, countRevokedQuery, retention)
}

// CountAged counts what [Store.DeleteAged] would remove.
func (s *Store) CountAged(ctx context.Context, age time.Duration) (int64, error) {
	return s.count(ctx, countAgedQuery, age)
}

func (s *Store) deleteBatch(ctx context.Context, query string, before time.Duration, limit int) (int64, error) {
	var got bool
	var n int64
	if err := s.pool.QueryRow(ctx, query, seconds(before), limit, int64(cleanupLock)).Scan(&got, &n); err != nil {
		return 0, unavailable("clean up", err)
	}
	if !got {
		return 0, ErrCleanupRunning
	}
	return n, nil
}

func (s *Store) count(ctx context.Context, query string, before time.Duration) (int64, error) {
	var n int64
	if err := s.pool.QueryRow(ctx, query, seconds(before)).Scan(&n); err != nil {
		return 0, unavailable("count what is to be cleaned up", err)
	}
	return n, nil
}
