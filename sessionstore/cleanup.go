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
	expiredSessions = expiredRows + ` AND r."accessExpiresAt" IS NOT NULL AND NOT ` + isOneOfMany

	revokedSessions = `FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
  WHERE ` + isFirst + ` AND s."revokedAt" < now() - $1 * interval '1 s'`

	// Ids start with the time of creation in milliseconds (RFC 9562 §5.7).
	agedSessions = `FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
  WHERE ` + isFirst + ` AND s."createdAt" < now() - $1 * interval '1 s' AND s."id" <
    (lpad(to_hex((extract(epoch FROM now() - $1 * interval '1 s') * 1000)::bigint), 12, '0') || repeat('f', 20))::uuid`
)

// A session that Compas began may have several rows without a refresh token to
// point at. It ends with the last of them.
const (
	expiredRows = `FROM "sessionStoreToken" r JOIN "sessionStore" s ON s."id" = r."session"
  WHERE r."expiresOn" < ((now() - $1 * interval '1 s') AT TIME ZONE 'UTC')::date`

	superfluousRows = expiredRows + ` AND r."refreshToken" IS NULL AND (r."accessExpiresAt" IS NULL OR ` + isOneOfMany + `)`

	isOneOfMany = `EXISTS (
    SELECT FROM "sessionStoreToken" o WHERE o."session" = r."session" AND o."id" <> r."id" AND o."refreshToken" IS NULL)`

	// isFirst takes each session once.
	isFirst = `NOT EXISTS (
    SELECT FROM "sessionStoreToken" o WHERE o."session" = r."session" AND o."id" < r."id" AND o."refreshToken" IS NULL)`
)

// The access rows of Compas are deleted by name: in tables that an early Compas
// made, the foreign key would make refresh rows of them.
const deleteSuperfluousQuery = `
WITH "lock" AS MATERIALIZED (
  SELECT pg_try_advisory_xact_lock($3) AS "got"
), "doomed" AS MATERIALIZED (
  SELECT r."id", r."session" ` + superfluousRows + ` AND (SELECT "got" FROM "lock")
  LIMIT $2 FOR UPDATE OF s, r SKIP LOCKED
), "access" AS (
  DELETE FROM "sessionStoreToken" a USING "doomed" WHERE a."refreshToken" = "doomed"."id"
), "refresh" AS (
  DELETE FROM "sessionStoreToken" r USING "doomed" WHERE r."id" = "doomed"."id" RETURNING 1
), "session" AS (
  DELETE FROM "sessionStore" s WHERE s."id" IN (SELECT "session" FROM "doomed") AND NOT EXISTS (
    SELECT FROM "sessionStoreToken" o WHERE o."session" = s."id" AND o."refreshToken" IS NULL
      AND o."id" NOT IN (SELECT "id" FROM "doomed"))
)
SELECT (SELECT "got" FROM "lock"), (SELECT count(*) FROM "refresh")`

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

	countSuperfluousQuery = countQuery(superfluousRows)
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

// DeleteSuperfluous removes up to limit pairs of tokens, and with a session's
// last pair the session: those that Compas made, and those of sessions that it
// began, which may have several. They go when they were rotated, revoked or
// expired more than retention ago, to the day in UTC. It returns how many pairs.
func (s *Store) DeleteSuperfluous(ctx context.Context, retention time.Duration, limit int) (int64, error) {
	return s.deleteBatch(ctx, deleteSuperfluousQuery, retention, limit)
}

// CountSuperfluous counts what [Store.DeleteSuperfluous] would remove.
func (s *Store) CountSuperfluous(ctx context.Context, retention time.Duration) (int64, error) {
	return s.count(ctx, countSuperfluousQuery, retention)
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
