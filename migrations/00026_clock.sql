-- Until when tokens may have been made that the database has forgotten.

-- +goose Up
-- One row once a server has taken over whose clock is behind, and none before: what the one
-- before made in the commits that were lost may live for longer than any row tells, and a
-- revocation must be remembered until then. Revocations read it, which never changes else.
CREATE TABLE IF NOT EXISTS "sessionStoreClock" (
  "one"        boolean     PRIMARY KEY DEFAULT true CHECK ("one"),
  "tokensMade" timestamptz NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS "sessionStoreClock";
