-- The audience of a pair's access token.

-- +goose Up
-- Null in pairs that an earlier release made: the answering replica then uses its own
-- setting. While AUDIENCE is being changed, replicas with either setting answer, and
-- the same pair must give the same tokens. It must not be indexed: see 00001.
ALTER TABLE "sessionStoreToken" ADD COLUMN IF NOT EXISTS "audience" text NULL;

-- +goose Down
ALTER TABLE "sessionStoreToken" DROP COLUMN "audience";
