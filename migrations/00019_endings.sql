-- Why a session ended, and who or what ended it.
--
-- Both are null where that was not recorded: by an earlier release that runs beside this
-- one, by Compas, by hand. No table is rewritten, and neither column is indexed: the
-- index on "revokedAt" finds what ended.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE "sessionStore"
  ADD COLUMN IF NOT EXISTS "endReason" text NULL,
  ADD COLUMN IF NOT EXISTS "endedBy" text NULL;

-- +goose Down
ALTER TABLE "sessionStore" DROP COLUMN IF EXISTS "endReason", DROP COLUMN IF EXISTS "endedBy";
