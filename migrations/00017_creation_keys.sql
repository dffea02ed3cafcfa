-- A repeated creation finds the session that it made: its key is stored with the
-- session, hashed, next to a digest of the request.
--
-- Both are null if no key was given, and such rows are not in the index.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE "sessionStore"
  ADD COLUMN IF NOT EXISTS "creationKey" bytea NULL,
  ADD COLUMN IF NOT EXISTS "creationDigest" text NULL;

-- As in 00001.
-- +goose StatementBegin
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_index WHERE "indexrelid" = to_regclass('"sessionStoreCreationKeyIdx"') AND NOT "indisvalid") THEN
    DROP INDEX "sessionStoreCreationKeyIdx";
  END IF;
END $$;
-- +goose StatementEnd
SET lock_timeout = 0;
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "sessionStoreCreationKeyIdx" ON "sessionStore" ("creationKey")
  WHERE "creationKey" IS NOT NULL;
RESET lock_timeout;

-- +goose Down
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS "sessionStoreCreationKeyIdx";
RESET lock_timeout;
ALTER TABLE "sessionStore" DROP COLUMN IF EXISTS "creationKey", DROP COLUMN IF EXISTS "creationDigest";
