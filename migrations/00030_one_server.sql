-- Revocations are followed by transaction ids, which are meaningful only on the server that
-- has the rows.

-- +goose Up
-- The server that assigns transaction ids, and the transaction that wrote the row, recorded as a revocation
-- records its own. A follower compares them with the server whose snapshot it reads, and with the
-- transaction that the row really has. Null until then, and in a row of an earlier release.
ALTER TABLE "sessionStoreEpoch"
  ADD COLUMN IF NOT EXISTS "server" text NULL,
  ADD COLUMN IF NOT EXISTS "xid"    xid8 NULL;

-- Where there are no triggers, a manual UPDATE would set no transaction id, and verifiers would miss it:
-- it is refused, and so is undoing a revocation. Verifiers receive now the revocations that they missed. The
-- statement has a form in which Citus does not fill in a transaction of its coordinator.
-- +goose StatementBegin
DO $$
DECLARE
  "distributed" boolean := false;
  "n"           bigint;
BEGIN
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    "distributed" := EXISTS (SELECT FROM pg_catalog.pg_dist_partition WHERE "logicalrelid" = '"sessionStore"'::regclass);
  END IF;
  IF "distributed" AND NOT EXISTS (SELECT FROM pg_constraint WHERE "conrelid" = '"sessionStore"'::regclass AND "conname" = 'sessionStoreEndWithLatchkeyCheck') THEN
    WITH "missed" AS MATERIALIZED (
      SELECT "id", pg_current_xact_id() AS "xid" FROM "sessionStore" WHERE "revokedAt" IS NOT NULL AND "revokedXid" IS NULL
    ), "noted" AS (
      UPDATE "sessionStore" s SET "revokedXid" = m."xid" FROM "missed" m WHERE s."id" = m."id" RETURNING 1
    )
    SELECT count(*) INTO "n" FROM "noted";
    ALTER TABLE "sessionStore" ADD CONSTRAINT "sessionStoreEndWithLatchkeyCheck" CHECK (("revokedAt" IS NULL) = ("revokedXid" IS NULL)) NOT VALID;
  END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
ALTER TABLE "sessionStore" DROP CONSTRAINT IF EXISTS "sessionStoreEndWithLatchkeyCheck";
ALTER TABLE "sessionStoreEpoch" DROP COLUMN IF EXISTS "xid", DROP COLUMN IF EXISTS "server";
