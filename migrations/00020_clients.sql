-- Which client a pair's tokens are for.

-- +goose Up
-- Null in pairs that an earlier release made, which are of the first client: whoever
-- answers then says what its own setting says, and the next refresh writes it down. Its
-- "audience" may be several, as a JSON array. It must not be indexed: see 00001.
ALTER TABLE "sessionStoreToken" ADD COLUMN IF NOT EXISTS "client" text NULL;

-- +goose Down
ALTER TABLE "sessionStoreToken" DROP COLUMN "client";
