-- The session's own claims, for its access tokens.

-- +goose Up
-- Null for none, and then it takes no room. They are in the form used in tokens, so a
-- refresh signs what it reads. An earlier release that runs alongside this one
-- does not name the column, so the rows that it changes keep their claims. It must not be
-- indexed: see 00001.
ALTER TABLE "sessionStoreToken" ADD COLUMN IF NOT EXISTS "claims" text NULL;

-- +goose Down
ALTER TABLE "sessionStoreToken" DROP COLUMN "claims";
