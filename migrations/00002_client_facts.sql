-- The client that last refreshed a session. The facts are in the refresh
-- row, which a rotation writes anyway, and must not be indexed: see 00001.

-- +goose Up
ALTER TABLE "sessionStoreToken"
  ADD COLUMN IF NOT EXISTS "clientUserAgent" text NULL,
  ADD COLUMN IF NOT EXISTS "clientIp" inet NULL;

-- +goose Down
ALTER TABLE "sessionStoreToken" DROP COLUMN "clientUserAgent", DROP COLUMN "clientIp";
