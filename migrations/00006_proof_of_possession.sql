-- Sessions whose tokens are bound to a key of their client (RFC 9449).

-- +goose Up
-- The thumbprint of the key: null until a proof comes, and the same from then on.
-- It stands on the pair's row, for a refresh has to look at it, and must not be
-- indexed: see 00001.
ALTER TABLE "sessionStoreToken" ADD COLUMN IF NOT EXISTS "dpopJkt" text NULL;

-- +goose Down
-- Tokens that say themselves that they are bound stay so.
ALTER TABLE "sessionStoreToken" DROP COLUMN "dpopJkt";
