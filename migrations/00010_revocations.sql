-- A revocation is final, however it was made; and a report of a theft that could not
-- be enqueued waits with its session.
--
-- Rows are changed in small transactions, so each statement is a separate one,
-- and can be run again.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE "sessionStore" ADD COLUMN IF NOT EXISTS "leakReport" jsonb NULL;

-- As in 00001.
-- +goose StatementBegin
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_index WHERE "indexrelid" = to_regclass('"sessionStoreLeakReportIdx"') AND NOT "indisvalid") THEN
    DROP INDEX "sessionStoreLeakReportIdx";
  END IF;
END $$;
-- +goose StatementEnd
SET lock_timeout = 0;
CREATE INDEX CONCURRENTLY IF NOT EXISTS "sessionStoreLeakReportIdx" ON "sessionStore" ("id")
  WHERE "leakReport" IS NOT NULL;
RESET lock_timeout;

-- Revoking manually, or with a program that does not know "revokedXid", does not set
-- it: it is set again, whatever it was. Verifiers that start look for recent
-- revocations, so the time is never in the past. Undoing a revocation would let
-- strict checks accept what the edge continues to refuse.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION "sessionStoreNoteRevocation"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW."revokedAt" IS NULL THEN
    RAISE EXCEPTION 'a session that was revoked stays revoked' USING
      ERRCODE = 'check_violation', TABLE = 'sessionStore', COLUMN = 'revokedAt', HINT = 'The user has to sign in again.';
  END IF;
  NEW."revokedAt" := GREATEST(NEW."revokedAt", now());
  NEW."revokedXid" := pg_current_xact_id();
  UPDATE "sessionStoreToken" SET "revokedAt" = NEW."revokedAt" WHERE "session" = NEW."id" AND "revokedAt" IS NULL;
  PERFORM pg_notify('latchkey_revoked', '');
  RETURN NEW;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE "distributed" boolean := false;
BEGIN
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    "distributed" := EXISTS (SELECT FROM pg_catalog.pg_dist_partition WHERE "logicalrelid" = '"sessionStore"'::regclass);
  END IF;
  IF NOT "distributed" THEN
    CREATE OR REPLACE TRIGGER "sessionStoreNoteRevocation" BEFORE UPDATE OF "revokedAt" ON "sessionStore"
      FOR EACH ROW WHEN (
        OLD."revokedAt" IS NULL AND NEW."revokedAt" IS NOT NULL AND NEW."revokedXid" IS NOT DISTINCT FROM OLD."revokedXid"
        OR OLD."revokedAt" IS NOT NULL AND NEW."revokedAt" IS NULL)
      EXECUTE FUNCTION "sessionStoreNoteRevocation"();
  END IF;
END $$;
-- +goose StatementEnd

-- Earlier programs could miss a pair that was made while they waited to revoke its
-- session: it still refreshes.
-- +goose StatementBegin
DO $$
DECLARE
  "last"  uuid := '00000000-0000-0000-0000-000000000000';
  "batch" uuid[];
BEGIN
  LOOP
    "batch" := ARRAY(SELECT "id" FROM "sessionStore" WHERE "id" > "last" ORDER BY "id" LIMIT 1000);
    EXIT WHEN cardinality("batch") = 0;

    UPDATE "sessionStoreToken" t SET "revokedAt" = now() FROM "sessionStore" s
    WHERE s."id" = ANY ("batch") AND s."revokedAt" IS NOT NULL
      AND t."session" = s."id" AND t."accessExpiresAt" IS NOT NULL AND t."revokedAt" IS NULL;

    COMMIT;
    "last" := "batch"[cardinality("batch")];
  END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
DO $$
DECLARE "distributed" boolean := false;
BEGIN
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    "distributed" := EXISTS (SELECT FROM pg_catalog.pg_dist_partition WHERE "logicalrelid" = '"sessionStore"'::regclass);
  END IF;
  IF NOT "distributed" THEN
    CREATE OR REPLACE TRIGGER "sessionStoreNoteRevocation" BEFORE UPDATE OF "revokedAt" ON "sessionStore"
      FOR EACH ROW WHEN (OLD."revokedAt" IS NULL AND NEW."revokedAt" IS NOT NULL AND NEW."revokedXid" IS NULL)
      EXECUTE FUNCTION "sessionStoreNoteRevocation"();
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION "sessionStoreNoteRevocation"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW."revokedXid" := pg_current_xact_id();
  UPDATE "sessionStoreToken" SET "revokedAt" = NEW."revokedAt" WHERE "session" = NEW."id" AND "revokedAt" IS NULL;
  PERFORM pg_notify('latchkey_revoked', '');
  RETURN NEW;
END $$;
-- +goose StatementEnd

DROP INDEX IF EXISTS "sessionStoreLeakReportIdx";
ALTER TABLE "sessionStore" DROP COLUMN IF EXISTS "leakReport";
