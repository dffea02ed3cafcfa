-- The client of a pair's tokens.

-- +goose Up
-- Null in pairs that an earlier release made, which belong to the first client: the
-- answering replica then uses its own setting, and the next refresh records it. Its
-- "audience" may be several, as a JSON array. It must not be indexed: see 00001.
ALTER TABLE "sessionStoreToken" ADD COLUMN IF NOT EXISTS "client" text NULL;

-- +goose Down
ALTER TABLE "sessionStoreToken" DROP COLUMN "client";
