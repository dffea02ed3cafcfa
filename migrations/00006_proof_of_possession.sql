-- Sessions whose tokens are bound to a key of their client (RFC 9449).

-- +goose Up
-- The thumbprint of the key: null until the first proof, and then constant. It is
-- in the pair's row, because a refresh must read it, and must not be
-- indexed: see 00001.
ALTER TABLE "sessionStoreToken" ADD COLUMN IF NOT EXISTS "dpopJkt" text NULL;

-- +goose Down
-- Tokens that themselves say that they are bound stay bound.
ALTER TABLE "sessionStoreToken" DROP COLUMN "dpopJkt";
