-- The basis for following revocations by "revokedXid".

-- +goose Up
-- The first follower makes the single row. The table is unlogged on purpose:
-- PostgreSQL empties it whenever it may have forgotten transactions, as after a
-- crash, or when a standby or a copy takes over; and then it reuses their ids. So
-- a different row means that nothing known about ids is valid any more.
CREATE UNLOGGED TABLE IF NOT EXISTS "sessionStoreEpoch" (
  "only" boolean PRIMARY KEY DEFAULT true CHECK ("only"),
  "id"   uuid NOT NULL
);

-- A session may also be revoked manually, or by a program that does not know
-- "revokedXid". That counts as well.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION "sessionStoreNoteRevocation"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW."revokedXid" := pg_current_xact_id();
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
      FOR EACH ROW WHEN (OLD."revokedAt" IS NULL AND NEW."revokedAt" IS NOT NULL AND NEW."revokedXid" IS NULL)
      EXECUTE FUNCTION "sessionStoreNoteRevocation"();
  END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER "sessionStoreNoteRevocation" ON "sessionStore";
DROP FUNCTION "sessionStoreNoteRevocation"();
DROP TABLE "sessionStoreEpoch";
