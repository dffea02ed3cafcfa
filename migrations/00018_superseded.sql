-- Access tokens of a pair that are refused before they expire, although their session
-- continues: those of a generation below "supersededBelow". "supersededAt" determines
-- how long verifiers must remember it; "supersededXid" is the transaction that set it,
-- by which they find what is new, as by "revokedXid".
--
-- All are null if that was never requested, and such rows are not in the index. A
-- refresh changes none of them, so it stays heap-only.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE "sessionStoreToken"
  ADD COLUMN IF NOT EXISTS "supersededBelow" bigint NULL,
  ADD COLUMN IF NOT EXISTS "supersededAt" timestamptz NULL,
  ADD COLUMN IF NOT EXISTS "supersededXid" xid8 NULL;

-- As in 00001.
-- +goose StatementBegin
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_index WHERE "indexrelid" = to_regclass('"sessionStoreTokenSupersededXidIdx"') AND NOT "indisvalid") THEN
    DROP INDEX "sessionStoreTokenSupersededXidIdx";
  END IF;
END $$;
-- +goose StatementEnd
SET lock_timeout = 0;
CREATE INDEX CONCURRENTLY IF NOT EXISTS "sessionStoreTokenSupersededXidIdx" ON "sessionStoreToken" ("supersededXid")
  WHERE "supersededXid" IS NOT NULL;
RESET lock_timeout;

-- +goose Down
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS "sessionStoreTokenSupersededXidIdx";
RESET lock_timeout;
ALTER TABLE "sessionStoreToken"
  DROP COLUMN IF EXISTS "supersededBelow", DROP COLUMN IF EXISTS "supersededAt", DROP COLUMN IF EXISTS "supersededXid";
