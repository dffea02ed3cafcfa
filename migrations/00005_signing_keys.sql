-- The keys that sign tokens, if replicas share them through the database.

-- +goose Up
CREATE TABLE IF NOT EXISTS "sessionStoreSigningKey" (
  -- The key's kid.
  "id"            text        PRIMARY KEY NOT NULL,
  "algorithm"     text        NOT NULL,
  -- The private JWK as a JWE, sealed with a key that is not in the database.
  "sealed"        text        NOT NULL,
  "createdAt"     timestamptz NOT NULL,
  -- Of the keys whose time has come, the latest one signs.
  "signsFrom"     timestamptz NOT NULL,
  -- When the last token that it signed has expired; null until that is known.
  "verifiesUntil" timestamptz NULL
);

-- +goose Down
DROP TABLE "sessionStoreSigningKey";
