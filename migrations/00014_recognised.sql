-- Keys and settings by which live sessions are recognised: a replica whose settings lack one of these would
-- sign users out.

-- +goose Up
CREATE TABLE IF NOT EXISTS "sessionStoreRecognised" (
  -- signing key, issuer, audience or compas key.
  "kind"      text        NOT NULL,
  -- Its name; for a key, its kid and a fingerprint that reveals nothing about the key.
  "value"     text        NOT NULL,
  "firstUsed" timestamptz NOT NULL DEFAULT now(),
  -- Renewed by each replica that uses it, when it starts and every 15 minutes.
  "lastUsed"  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY ("kind", "value")
);

-- +goose Down
DROP TABLE "sessionStoreRecognised";
