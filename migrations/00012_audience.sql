-- Whom a pair's access token is for.

-- +goose Up
-- Null in pairs that an earlier release made: whoever answers then says what its own
-- setting says. While AUDIENCE is changed, replicas with either setting answer, and the
-- same pair has to be the same tokens. It must not be indexed: see 00001.
ALTER TABLE "sessionStoreToken" ADD COLUMN IF NOT EXISTS "audience" text NULL;

-- +goose Down
ALTER TABLE "sessionStoreToken" DROP COLUMN "audience";
