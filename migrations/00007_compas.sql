-- Takes over what Compas left, and lets it continue to write while services are
-- moved.
--
-- Rows are changed in small transactions, so each statement is a separate one,
-- and can be run again.

-- +goose NO TRANSACTION
-- +goose Up
-- Cleanup finds a refresh row of Compas in the same way as a pair: by the day on
-- which it became superfluous. Our rows have an accessExpiresAt and set the day
-- themselves.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION "sessionStoreTokenOfCompas"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW."expiresOn" := (LEAST(NEW."expiresAt", NEW."revokedAt") AT TIME ZONE 'UTC')::date;
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
    CREATE OR REPLACE TRIGGER "sessionStoreTokenOfCompas" BEFORE INSERT ON "sessionStoreToken"
      FOR EACH ROW WHEN (NEW."accessExpiresAt" IS NULL AND NEW."refreshToken" IS NULL)
      EXECUTE FUNCTION "sessionStoreTokenOfCompas"();
  END IF;
END $$;
-- +goose StatementEnd

-- Not BEFORE: with that, every refresh would lock its row before changing it.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION "sessionStoreTokenOfCompasRevoked"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE "sessionStoreToken" SET "expiresOn" = (LEAST("expiresAt", "revokedAt") AT TIME ZONE 'UTC')::date WHERE "id" = NEW."id";
  RETURN NULL;
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
    CREATE OR REPLACE TRIGGER "sessionStoreTokenOfCompasRevoked" AFTER UPDATE OF "revokedAt" ON "sessionStoreToken"
      FOR EACH ROW WHEN (NEW."accessExpiresAt" IS NULL AND NEW."refreshToken" IS NULL)
      EXECUTE FUNCTION "sessionStoreTokenOfCompasRevoked"();
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
  "last"  uuid := '00000000-0000-0000-0000-000000000000';
  "batch" uuid[];
BEGIN
  LOOP
    "batch" := ARRAY(SELECT "id" FROM "sessionStoreToken"
      WHERE "id" > "last" AND "accessExpiresAt" IS NULL AND "refreshToken" IS NULL AND "expiresOn" IS NULL ORDER BY "id" LIMIT 1000);
    EXIT WHEN cardinality("batch") = 0;

    UPDATE "sessionStoreToken" SET "expiresOn" = (LEAST("expiresAt", "revokedAt") AT TIME ZONE 'UTC')::date
    WHERE "id" = ANY ("batch") AND "accessExpiresAt" IS NULL AND "expiresOn" IS NULL;

    COMMIT;
    "last" := "batch"[cardinality("batch")];
  END LOOP;
END $$;
-- +goose StatementEnd

-- Compas makes a session and its tokens in two statements: some were left without
-- tokens, and can no longer be reached.
-- +goose StatementBegin
DO $$
DECLARE
  "last"  uuid := '00000000-0000-0000-0000-000000000000';
  "batch" uuid[];
BEGIN
  LOOP
    "batch" := ARRAY(SELECT "id" FROM "sessionStore" WHERE "id" > "last" ORDER BY "id" LIMIT 1000);
    EXIT WHEN cardinality("batch") = 0;

    DELETE FROM "sessionStore" s
    WHERE s."id" = ANY ("batch") AND s."createdAt" < now() - interval '1 day'
      AND NOT EXISTS (SELECT FROM "sessionStoreToken" t WHERE t."session" = s."id");

    COMMIT;
    "last" := "batch"[cardinality("batch")];
  END LOOP;
END $$;
-- +goose StatementEnd

-- A refresh reads only its token row. So revoking a session manually, or with Compas, revokes its tokens at once, in
-- the order of all locks.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION "sessionStoreNoteRevocation"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW."revokedXid" := pg_current_xact_id();
  UPDATE "sessionStoreToken" SET "revokedAt" = NEW."revokedAt" WHERE "session" = NEW."id" AND "revokedAt" IS NULL;
  PERFORM pg_notify('latchkey_revoked', '');
  RETURN NEW;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION "sessionStoreNoteRevocation"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW."revokedXid" := pg_current_xact_id();
  PERFORM pg_notify('latchkey_revoked', '');
  RETURN NEW;
END $$;
-- +goose StatementEnd

DROP TRIGGER IF EXISTS "sessionStoreTokenOfCompas" ON "sessionStoreToken";
DROP FUNCTION IF EXISTS "sessionStoreTokenOfCompas"();
DROP TRIGGER IF EXISTS "sessionStoreTokenOfCompasRevoked" ON "sessionStoreToken";
DROP FUNCTION IF EXISTS "sessionStoreTokenOfCompasRevoked"();
-- +goose StatementBegin
DO $$
DECLARE
  "last"  uuid := '00000000-0000-0000-0000-000000000000';
  "batch" uuid[];
BEGIN
  LOOP
    "batch" := ARRAY(SELECT "id" FROM "sessionStoreToken" WHERE "id" > "last" ORDER BY "id" LIMIT 1000);
    EXIT WHEN cardinality("batch") = 0;

    UPDATE "sessionStoreToken" SET "expiresOn" = NULL
    WHERE "id" = ANY ("batch") AND "accessExpiresAt" IS NULL AND "refreshToken" IS NULL AND "expiresOn" IS NOT NULL;

    COMMIT;
    "last" := "batch"[cardinality("batch")];
  END LOOP;
END $$;
-- +goose StatementEnd
