-- The time until which tokens may have been made that the database has forgotten.

-- +goose Up
-- One row once a server whose clock is behind has taken over, and none before: tokens that
-- the former server made in lost commits may live longer than any row shows, and a
-- revocation must be remembered until then. Revocations read it, and it does not change
-- otherwise.
CREATE TABLE IF NOT EXISTS "sessionStoreClock" (
  "one"        boolean     PRIMARY KEY DEFAULT true CHECK ("one"),
  "tokensMade" timestamptz NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS "sessionStoreClock";
