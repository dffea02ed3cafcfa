-- Data of the operators' page about thefts, and its sign-in links.

-- +goose NO TRANSACTION
-- +goose Up
-- The report of the theft that ended the session: it contains no secret. Null if there
-- was none, and for thefts detected by an earlier release.
ALTER TABLE "sessionStore" ADD COLUMN IF NOT EXISTS "theft" jsonb NULL;

-- A link is identified by the digest of its secret, is valid once, and is then deleted.
CREATE TABLE IF NOT EXISTS "sessionStoreConsoleLink" (
  "digest"    bytea PRIMARY KEY NOT NULL,
  "operator"  text NOT NULL,
  "expiresAt" timestamptz NOT NULL
);

-- As in 00001.
-- +goose StatementBegin
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_index WHERE "indexrelid" = to_regclass('"sessionStoreTheftIdx"') AND NOT "indisvalid") THEN
    DROP INDEX "sessionStoreTheftIdx";
  END IF;
END $$;
-- +goose StatementEnd
SET lock_timeout = 0;
-- A session enters it when a theft ends it, and no other statement writes to it.
CREATE INDEX CONCURRENTLY IF NOT EXISTS "sessionStoreTheftIdx" ON "sessionStore" ("revokedAt", "id")
  WHERE "endReason" = 'theft';
RESET lock_timeout;

-- +goose Down
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS "sessionStoreTheftIdx";
RESET lock_timeout;
DROP TABLE IF EXISTS "sessionStoreConsoleLink";
ALTER TABLE "sessionStore" DROP COLUMN IF EXISTS "theft";
