-- Since when a database has a signing key.

-- +goose Up
-- With several shards, a replica that does not reach the first one reads the keys from a copy, and a
-- copy that was away has a key later than the first shard. For a promoted key, the time starts again. An
-- earlier release, which runs alongside this one, writes copies by inserting their rows again.
ALTER TABLE "sessionStoreSigningKey" ADD COLUMN IF NOT EXISTS "storedAt" timestamptz NOT NULL DEFAULT now();

-- +goose Down
ALTER TABLE "sessionStoreSigningKey" DROP COLUMN IF EXISTS "storedAt";
