-- Events for other systems: which were already derived, and which must be delivered.
--
-- Nothing is written for an event when it happens. Changes are read from the sessions' own rows, by the transactions
-- that changed them, as by "revokedXid". "createdXid" is null if there are no events, and such rows are not in the
-- index.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE "sessionStore" ADD COLUMN IF NOT EXISTS "createdXid" xid8 NULL;

-- As in 00001.
-- +goose StatementBegin
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_index WHERE "indexrelid" = to_regclass('"sessionStoreCreatedXidIdx"') AND NOT "indisvalid") THEN
    DROP INDEX "sessionStoreCreatedXidIdx";
  END IF;
END $$;
-- +goose StatementEnd
SET lock_timeout = 0;
CREATE INDEX CONCURRENTLY IF NOT EXISTS "sessionStoreCreatedXidIdx" ON "sessionStore" ("createdXid")
  WHERE "createdXid" IS NOT NULL;
RESET lock_timeout;

-- One row once a service has had an endpoint, and none before: from then on sessions note
-- their creating transaction. It is separate from the position, whose row has many
-- versions while an old snapshot is in use: each creation reads this one, which never
-- changes.
CREATE TABLE IF NOT EXISTS "sessionStoreEventsBegan" (
  "one"      boolean     PRIMARY KEY DEFAULT true CHECK ("one"),
  "at"       timestamptz NOT NULL DEFAULT now()
);

-- The position up to which events were derived: everything visible in the snapshot. It
-- also has one row.
CREATE TABLE IF NOT EXISTS "sessionStoreEvents" (
  "one"      boolean     PRIMARY KEY DEFAULT true CHECK ("one"),
  "snapshot" text        NOT NULL,
  -- The cluster to which its transactions belong: a dump contains none of them.
  "system"   text        NOT NULL,
  "at"       timestamptz NOT NULL
);

-- One row for each event and endpoint, until it is delivered.
CREATE TABLE IF NOT EXISTS "sessionStoreDelivery" (
  "id"        bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  "endpoint"  text        NOT NULL,
  "session"   uuid        NOT NULL,
  -- The event's name, the same for each endpoint and at each attempt.
  "event"     uuid        NOT NULL,
  "type"      text        NOT NULL,
  "at"        timestamptz NOT NULL,
  "facts"     jsonb       NOT NULL,
  "madeAt"    timestamptz NOT NULL,
  "dueAt"     timestamptz NOT NULL,
  "attempts"  integer     NOT NULL DEFAULT 0,
  "deadAt"    timestamptz NULL,
  "lastError" text        NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX IF NOT EXISTS "sessionStoreDeliveryDueIdx" ON "sessionStoreDelivery" ("endpoint", "dueAt", "id") WHERE "deadAt" IS NULL;
CREATE INDEX IF NOT EXISTS "sessionStoreDeliveryOrderIdx" ON "sessionStoreDelivery" ("endpoint", "session", "id") WHERE "deadAt" IS NULL;
CREATE INDEX IF NOT EXISTS "sessionStoreDeliveryDeadIdx" ON "sessionStoreDelivery" ("id") WHERE "deadAt" IS NOT NULL;

-- +goose Down
DROP TABLE IF EXISTS "sessionStoreDelivery", "sessionStoreEvents", "sessionStoreEventsBegan";
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS "sessionStoreCreatedXidIdx";
RESET lock_timeout;
ALTER TABLE "sessionStore" DROP COLUMN IF EXISTS "createdXid";
