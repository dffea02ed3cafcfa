-- Signing everyone out at once. A session belongs to an era, and those of earlier eras have ended:
-- see internal/era.

-- +goose NO TRANSACTION
-- +goose Up
-- One row for each time that everyone was signed out, and none before. Each begins an era.
CREATE TABLE IF NOT EXISTS "sessionStoreEra" (
  "era"    bigint      PRIMARY KEY,
  "at"     timestamptz NOT NULL,
  "reason" text        NOT NULL,
  "by"     text        NULL
);

-- The era that a session began in; null for the first. A refresh does not change it, and it is in no
-- index.
ALTER TABLE "sessionStoreToken" ADD COLUMN IF NOT EXISTS "era" bigint NULL;

-- If an earlier release or Compas creates sessions alongside, it does not name the era, and its role may
-- have no right to read the table. Where Citus distributes the tables, nothing may rely on this.
-- +goose StatementBegin
DO $$
DECLARE "distributed" boolean := false;
BEGIN
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    "distributed" := EXISTS (SELECT FROM pg_catalog.pg_dist_partition WHERE "logicalrelid" = '"sessionStore"'::regclass);
  END IF;
  IF NOT "distributed" THEN
    EXECUTE 'CREATE OR REPLACE FUNCTION "sessionStoreCurrentEra"() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
      BEGIN ATOMIC SELECT max("era") FROM "sessionStoreEra"; END';
    ALTER TABLE "sessionStoreToken" ALTER COLUMN "era" SET DEFAULT "sessionStoreCurrentEra"();
  END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
ALTER TABLE "sessionStoreToken" DROP COLUMN IF EXISTS "era";
DROP FUNCTION IF EXISTS "sessionStoreCurrentEra"();
DROP TABLE IF EXISTS "sessionStoreEra";
