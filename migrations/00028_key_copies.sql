-- Copies of the signing keys, and of the list of shards, in the databases of further shards.

-- +goose Up
-- One row, for all rows of "sessionStoreSigningKey": its version grows with each change of the keys.
-- A further shard's database has copies of the first one's rows, and of the version that they are of.
CREATE TABLE IF NOT EXISTS "sessionStoreSigningKeySet" (
  "one"     boolean PRIMARY KEY DEFAULT true CHECK ("one"),
  "version" bigint  NOT NULL
);

-- In a further shard's database, copies of the rows of "sessionStoreShard" in that of the first.
CREATE TABLE IF NOT EXISTS "sessionStoreShardCopy" (
  "number"    integer     PRIMARY KEY NOT NULL CHECK ("number" BETWEEN 1 AND 4095),
  "id"        uuid        NOT NULL,
  "name"      text        NOT NULL,
  "addedAt"   timestamptz NOT NULL,
  "removedAt" timestamptz NULL
);

-- +goose Down
DROP TABLE IF EXISTS "sessionStoreShardCopy", "sessionStoreSigningKeySet";
