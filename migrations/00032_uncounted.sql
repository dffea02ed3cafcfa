-- Sessions that were created while not all of their subject's sessions could be counted, because a
-- shard was down.

-- +goose Up
-- One row for each such session and each shard that has to be looked at when it is back.
CREATE TABLE IF NOT EXISTS "sessionStoreUncounted" (
  "waitsFor"  integer       NOT NULL,
  "subject"   text          NOT NULL,
  "session"   uuid          NOT NULL,
  "createdAt" timestamptz   NOT NULL,
  -- When the sessions began that were counted and stayed, with this one: the newest first.
  "counted"   timestamptz[] NOT NULL,
  -- The shards whose sessions were not counted.
  "uncounted" integer[]     NOT NULL,
  PRIMARY KEY ("waitsFor", "subject", "session")
);

-- +goose Down
DROP TABLE IF EXISTS "sessionStoreUncounted";
