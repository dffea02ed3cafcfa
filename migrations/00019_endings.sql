-- Why a session ended, and who or what ended it; and the lists of sessions that ended.
--
-- Both columns are null if that was not recorded: by an earlier release that runs
-- alongside this one, by Compas, or directly in the database. No table is rewritten, and neither is
-- indexed.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE "sessionStore"
  ADD COLUMN IF NOT EXISTS "endReason" text NULL,
  ADD COLUMN IF NOT EXISTS "endedBy" text NULL;

-- As in 00001.
-- +goose StatementBegin
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_index WHERE "indexrelid" = to_regclass('"sessionStoreEndedSubjectIdx"') AND NOT "indisvalid") THEN
    DROP INDEX "sessionStoreEndedSubjectIdx";
  END IF;
  IF EXISTS (SELECT FROM pg_index WHERE "indexrelid" = to_regclass('"sessionStoreEndedIdx"') AND NOT "indisvalid") THEN
    DROP INDEX "sessionStoreEndedIdx";
  END IF;
END $$;
-- +goose StatementEnd
SET lock_timeout = 0;
-- A session enters these two when it is revoked, so creations and refreshes do not
-- write to them. A subject's sessions that ended:
CREATE INDEX CONCURRENTLY IF NOT EXISTS "sessionStoreEndedSubjectIdx" ON "sessionStore" ("subject", "id")
  WHERE "subject" IS NOT NULL AND "revokedAt" IS NOT NULL;
-- Those of all subjects, by time. Any number may have ended at the same time, and a page of them
-- begins after an id. It serves cleanup and the revocation feed as its predecessor did.
CREATE INDEX CONCURRENTLY IF NOT EXISTS "sessionStoreEndedIdx" ON "sessionStore" ("revokedAt", "id")
  WHERE "revokedAt" IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS "sessionStoreRevokedAtIdx";
RESET lock_timeout;

-- +goose Down
SET lock_timeout = 0;
CREATE INDEX CONCURRENTLY IF NOT EXISTS "sessionStoreRevokedAtIdx" ON "sessionStore" ("revokedAt")
  WHERE "revokedAt" IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS "sessionStoreEndedIdx";
DROP INDEX CONCURRENTLY IF EXISTS "sessionStoreEndedSubjectIdx";
RESET lock_timeout;
ALTER TABLE "sessionStore" DROP COLUMN IF EXISTS "endReason", DROP COLUMN IF EXISTS "endedBy";
