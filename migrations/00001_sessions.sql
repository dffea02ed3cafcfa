-- The two tables in the shape that Compas gave them, so that a database that
-- Compas filled can be taken over unchanged: everything here is IF NOT EXISTS, and
-- what Latchkey adds is nullable or has a default.
--
-- Those tables may be large and in use, so each statement is a transaction of its
-- own, and can be run again: see patiently in run.go.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS "sessionStore" (
  "id"        uuid PRIMARY KEY NOT NULL DEFAULT gen_random_uuid(),
  "checksum"  varchar          NOT NULL,
  "data"      jsonb            NOT NULL,
  "revokedAt" timestamptz      NULL,
  "createdAt" timestamptz      NOT NULL DEFAULT now(),
  "updatedAt" timestamptz      NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS "sessionStoreToken" (
  "id"           uuid PRIMARY KEY NOT NULL DEFAULT gen_random_uuid(),
  "session"      uuid             NOT NULL,
  "expiresAt"    timestamptz      NOT NULL,
  "refreshToken" uuid             NULL,
  "revokedAt"    timestamptz      NULL,
  "createdAt"    timestamptz      NOT NULL,
  CONSTRAINT "sessionStoreTokenSessionFk" FOREIGN KEY ("session")
    REFERENCES "sessionStore" ("id") ON DELETE CASCADE,
  CONSTRAINT "sessionStoreTokenRefreshTokenFk" FOREIGN KEY ("refreshToken")
    REFERENCES "sessionStoreToken" ("id") ON DELETE CASCADE
);

CREATE INDEX IF NOT EXISTS "sessionStoreTokenSessionIdx" ON "sessionStoreToken" ("session");
CREATE INDEX IF NOT EXISTS "sessionStoreTokenRefreshTokenIdx" ON "sessionStoreToken" ("refreshToken");

ALTER TABLE "sessionStore"
  -- The user; null for a session without one.
  ADD COLUMN IF NOT EXISTS "subject" text NULL,
  -- The absolute end; null for none.
  ADD COLUMN IF NOT EXISTS "expiresAt" timestamptz NULL,
  -- The lifetimes of its tokens in seconds; null for the configured defaults.
  ADD COLUMN IF NOT EXISTS "accessTokenTtl" integer NULL,
  ADD COLUMN IF NOT EXISTS "refreshTokenTtl" integer NULL,
  -- The client at creation.
  ADD COLUMN IF NOT EXISTS "clientLabel" text NULL,
  ADD COLUMN IF NOT EXISTS "clientUserAgent" text NULL,
  ADD COLUMN IF NOT EXISTS "clientIp" inet NULL;

-- A refresh changes the columns below at every rotation. None of them but
-- expiresOn may ever be indexed: the update would no longer be heap-only (HOT).
ALTER TABLE "sessionStoreToken"
  ADD COLUMN IF NOT EXISTS "generation" bigint NOT NULL DEFAULT 0,
  -- Refresh rows: when the present pair was last handed out by a rotation or a
  -- late retry; null until the first.
  ADD COLUMN IF NOT EXISTS "issuedAt" timestamptz NULL,
  -- Refresh rows: when a use of the present pair begins to prove that its
  -- client holds it permanently; null for at once.
  ADD COLUMN IF NOT EXISTS "settledAt" timestamptz NULL,
  -- Access rows: when the present pair was first seen in use.
  ADD COLUMN IF NOT EXISTS "confirmedAt" timestamptz NULL,
  -- Refresh rows: in which generation the last late retry was served, and how
  -- many consecutive generations had one.
  ADD COLUMN IF NOT EXISTS "lateRetryGeneration" bigint NULL,
  ADD COLUMN IF NOT EXISTS "lateRetries" integer NOT NULL DEFAULT 0,
  -- Refresh rows: the UTC day of expiresAt, for cleanup. It is coarse so that
  -- it changes once a day, not at every refresh.
  ADD COLUMN IF NOT EXISTS "expiresOn" date NULL;

-- Room in each page for the next version of its rows, which heap-only updates need.
ALTER TABLE "sessionStoreToken" SET (fillfactor = 60);
ALTER TABLE "sessionStore" SET (fillfactor = 85);

-- An unfinished index is of no use, and IF NOT EXISTS would keep it.
-- +goose StatementBegin
DO $$
DECLARE "unfinished" regclass;
BEGIN
  FOR "unfinished" IN
    SELECT x."indexrelid" FROM pg_index x JOIN pg_class c ON c."oid" = x."indexrelid"
    WHERE NOT x."indisvalid" AND c."relname" LIKE 'sessionStore%Idx'
      AND x."indrelid" IN ('"sessionStore"'::regclass, '"sessionStoreToken"'::regclass)
  LOOP
    EXECUTE format('DROP INDEX %s', "unfinished");
  END LOOP;
END $$;
-- +goose StatementEnd

-- Building an index concurrently takes as long as the open transactions, and
-- nothing waits for it.
SET lock_timeout = 0;
-- A subject's live sessions, newest first: ids are UUIDv7.
CREATE INDEX CONCURRENTLY IF NOT EXISTS "sessionStoreSubjectIdx" ON "sessionStore" ("subject", "id")
  WHERE "subject" IS NOT NULL AND "revokedAt" IS NULL;
-- Cleanup and the revocation feed look for revoked sessions by time.
CREATE INDEX CONCURRENTLY IF NOT EXISTS "sessionStoreRevokedAtIdx" ON "sessionStore" ("revokedAt")
  WHERE "revokedAt" IS NOT NULL;
-- Cleanup looks for pairs that expired.
CREATE INDEX CONCURRENTLY IF NOT EXISTS "sessionStoreTokenExpiresOnIdx" ON "sessionStoreToken" ("expiresOn")
  WHERE "expiresOn" IS NOT NULL;
RESET lock_timeout;

-- +goose Down
-- Only additions are reverted: the two tables may belong to another application.
DROP INDEX IF EXISTS "sessionStoreTokenExpiresOnIdx";
DROP INDEX IF EXISTS "sessionStoreRevokedAtIdx";
DROP INDEX IF EXISTS "sessionStoreSubjectIdx";
ALTER TABLE "sessionStoreToken" RESET (fillfactor);
ALTER TABLE "sessionStore" RESET (fillfactor);
ALTER TABLE "sessionStoreToken"
  DROP COLUMN IF EXISTS "generation", DROP COLUMN IF EXISTS "issuedAt", DROP COLUMN IF EXISTS "settledAt",
  DROP COLUMN IF EXISTS "confirmedAt", DROP COLUMN IF EXISTS "lateRetryGeneration",
  DROP COLUMN IF EXISTS "lateRetries", DROP COLUMN IF EXISTS "expiresOn";
ALTER TABLE "sessionStore"
  DROP COLUMN IF EXISTS "subject", DROP COLUMN IF EXISTS "expiresAt", DROP COLUMN IF EXISTS "accessTokenTtl",
  DROP COLUMN IF EXISTS "refreshTokenTtl", DROP COLUMN IF EXISTS "clientLabel",
  DROP COLUMN IF EXISTS "clientUserAgent", DROP COLUMN IF EXISTS "clientIp";
