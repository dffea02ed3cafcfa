-- Cleanup finds sessions by their age, and nothing else reads the index of a column
-- that is null in nearly every row.
--
-- Indexes are built and dropped concurrently, so each statement is a separate
-- transaction, and can be run again.

-- +goose NO TRANSACTION
-- +goose Up
-- As in 00001.
-- +goose StatementBegin
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_index WHERE "indexrelid" = to_regclass('"sessionStoreCreatedAtIdx"') AND NOT "indisvalid") THEN
    DROP INDEX "sessionStoreCreatedAtIdx";
  END IF;
  IF EXISTS (SELECT FROM pg_index WHERE "indexrelid" = to_regclass('"sessionStoreTokenOfCompasIdx"') AND NOT "indisvalid") THEN
    DROP INDEX "sessionStoreTokenOfCompasIdx";
  END IF;
END $$;
-- +goose StatementEnd
SET lock_timeout = 0;
-- An id shows when it was made only if we made it, and by another clock. A
-- session leaves the index when it is revoked.
CREATE INDEX CONCURRENTLY IF NOT EXISTS "sessionStoreCreatedAtIdx" ON "sessionStore" ("createdAt")
  WHERE "revokedAt" IS NULL;
-- Only access rows of Compas have a refresh row. Where PostgreSQL had no statistics, it
-- read all other entries to find the pair of one session. Without these, creating a
-- session writes as many index entries as before.
CREATE INDEX CONCURRENTLY IF NOT EXISTS "sessionStoreTokenOfCompasIdx" ON "sessionStoreToken" ("refreshToken")
  WHERE "refreshToken" IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS "sessionStoreTokenRefreshTokenIdx";
RESET lock_timeout;

-- +goose Down
SET lock_timeout = 0;
CREATE INDEX CONCURRENTLY IF NOT EXISTS "sessionStoreTokenRefreshTokenIdx" ON "sessionStoreToken" ("refreshToken");
DROP INDEX CONCURRENTLY IF EXISTS "sessionStoreTokenOfCompasIdx";
DROP INDEX CONCURRENTLY IF EXISTS "sessionStoreCreatedAtIdx";
RESET lock_timeout;
