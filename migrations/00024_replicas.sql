-- Which replicas run, for the operators' page.

-- +goose Up
-- A replica writes its row when it starts and every 10 s, and removes it when it stops; those that
-- were not written for an hour are removed by any other. Nothing is lost with them, so the table
-- is unlogged: PostgreSQL empties it after a crash, and they write again.
CREATE UNLOGGED TABLE IF NOT EXISTS "sessionStoreReplica" (
  "id"               uuid        PRIMARY KEY NOT NULL,
  -- The machine's, or the container's.
  "name"             text        NOT NULL,
  "version"          text        NOT NULL,
  "startedAt"        timestamptz NOT NULL,
  "seenAt"           timestamptz NOT NULL,
  -- How far its clock is ahead of PostgreSQL's, give or take, and how old its knowledge of
  -- revocations is. Null until it knows.
  "clockOffset"      interval    NULL,
  "clockUncertainty" interval    NULL,
  "revocationsAge"   interval    NULL
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE IF EXISTS "sessionStoreReplica";
