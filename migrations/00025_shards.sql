-- Databases that sessions are spread over.

-- +goose Up
-- In the first shard's database, a row for each other shard that there is or was. In another
-- shard's database, one row, for itself. A number is never given to a second shard, because
-- session ids contain it.
CREATE TABLE IF NOT EXISTS "sessionStoreShard" (
  "number"    integer     PRIMARY KEY NOT NULL CHECK ("number" BETWEEN 1 AND 4095),
  "id"        uuid        UNIQUE NOT NULL,
  "name"      text        NOT NULL,
  -- Whether the row is the database's own.
  "isSelf"    boolean     NOT NULL,
  -- Whether the shard's database has its row: from then on, an empty database is not taken for it.
  "isClaimed" boolean     NOT NULL,
  "addedAt"   timestamptz NOT NULL DEFAULT now(),
  "removedAt" timestamptz NULL
);

-- Sign-outs of a subject that could not reach a shard, until they have.
CREATE TABLE IF NOT EXISTS "sessionStoreSignOut" (
  "shard"   integer     NOT NULL,
  "subject" text        NOT NULL,
  -- The session that stays; the nil UUID for none.
  "keep"    uuid        NOT NULL,
  -- Later sessions stay, too.
  "before"  timestamptz NOT NULL,
  "reason"  text        NOT NULL,
  "by"      text        NOT NULL,
  PRIMARY KEY ("shard", "subject", "keep")
);

-- +goose Down
DROP TABLE IF EXISTS "sessionStoreSignOut";
DROP TABLE IF EXISTS "sessionStoreShard";
