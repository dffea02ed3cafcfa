-- The statements of the program before this one, whose schema was version 4, as it
-- sends them: replicas of it run until the last one is replaced. With a release,
-- those of the release before take their place.

-- name: ping
SELECT count(*) FROM (SELECT "generation" FROM "sessionStoreToken" LIMIT 0) t

-- name: create
WITH "times" AS (
  SELECT now() AS "at", now() + $8 * interval '1 s' AS "end"
), "session" AS (
  INSERT INTO "sessionStore" ("id", "checksum", "data", "createdAt", "updatedAt", "subject",
    "clientLabel", "clientUserAgent", "clientIp")
  SELECT $1, $2, $3, "at", "at", $4, $5, $6, $7::text::inet FROM "times"
)
INSERT INTO "sessionStoreToken" ("id", "session", "createdAt", "expiresAt", "expiresOn",
  "accessExpiresAt", "sessionExpiresAt", "accessTokenTtl", "refreshTokenTtl")
SELECT $9, $1, "at", LEAST("at" + $11 * interval '1 s', "end"), (LEAST("at" + $11 * interval '1 s', "end") AT TIME ZONE 'UTC')::date,
  LEAST("at" + $10 * interval '1 s', "end"), "end", $12, $13
FROM "times"
RETURNING "createdAt", "expiresAt", "accessExpiresAt"

-- name: get
SELECT s."id", s."subject", s."checksum", s."clientLabel", s."clientUserAgent", host(s."clientIp"),
  s."createdAt", s."updatedAt", r."issuedAt", r."expiresAt", s."revokedAt", r."clientUserAgent", host(r."clientIp"), s."data", r."accessGeneration", COALESCE(r."issuedAt", r."createdAt"),
  r."confirmedAt" IS NULL AND (r."settledAt" IS NULL OR r."settledAt" <= now()), (s."revokedAt" IS NULL AND r."revokedAt" IS NULL AND r."expiresAt" > now())
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."id" = $1 AND r."id" = $2

-- name: load
SELECT s."id", s."subject", s."checksum", s."clientLabel", s."clientUserAgent", host(s."clientIp"),
  s."createdAt", s."updatedAt", r."issuedAt", r."expiresAt", s."revokedAt", r."clientUserAgent", host(r."clientIp"), s."data"
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."id" = $1

-- name: list
SELECT s."id", s."subject", s."checksum", s."clientLabel", s."clientUserAgent", host(s."clientIp"),
  s."createdAt", s."updatedAt", r."issuedAt", r."expiresAt", s."revokedAt", r."clientUserAgent", host(r."clientIp")
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."subject" = $1 AND s."revokedAt" IS NULL AND ($2::uuid IS NULL OR s."id" < $2) AND (s."revokedAt" IS NULL AND r."revokedAt" IS NULL AND r."expiresAt" > now())
ORDER BY s."id" DESC
LIMIT $3

-- name: update
UPDATE "sessionStore" s SET "data" = $3, "checksum" = $4, "updatedAt" = now()
FROM "sessionStoreToken" r
WHERE s."id" = $1 AND s."checksum" = $2 AND r."session" = s."id" AND r."refreshToken" IS NULL AND (s."revokedAt" IS NULL AND r."revokedAt" IS NULL AND r."expiresAt" > now())

-- name: updateState
SELECT s."checksum", (s."revokedAt" IS NULL AND r."revokedAt" IS NULL AND r."expiresAt" > now())
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."id" = $1

-- name: invalidate
WITH "session" AS (
  UPDATE "sessionStore" SET "revokedAt" = now(), "revokedXid" = pg_current_xact_id()
  WHERE "id" = $1 AND "revokedAt" IS NULL AND ($2::text IS NULL OR "subject" = $2)
  RETURNING "id"
), "pair" AS (
  UPDATE "sessionStoreToken" r SET "revokedAt" = now() FROM "session"
  WHERE r."session" = "session"."id" AND r."revokedAt" IS NULL
), "told" AS MATERIALIZED (
  SELECT pg_notify('latchkey_revoked', '') FROM "session" LIMIT 1
)
SELECT EXISTS (SELECT FROM "sessionStore" WHERE "id" = $1 AND ($2::text IS NULL OR "subject" = $2)), (SELECT count(*) FROM "told")

-- name: invalidateSubject
WITH "target" AS MATERIALIZED (
  SELECT "id" FROM "sessionStore"
  WHERE "subject" = $1 AND "revokedAt" IS NULL AND "id" <> $2
  ORDER BY "id" FOR NO KEY UPDATE
), "session" AS (
  UPDATE "sessionStore" s SET "revokedAt" = now(), "revokedXid" = pg_current_xact_id() FROM "target"
  WHERE s."id" = "target"."id"
  RETURNING s."id"
), "pair" AS (
  UPDATE "sessionStoreToken" r SET "revokedAt" = now() FROM "session"
  WHERE r."session" = "session"."id" AND r."revokedAt" IS NULL
), "told" AS MATERIALIZED (
  SELECT pg_notify('latchkey_revoked', '') FROM "session" LIMIT 1
)
SELECT count(*), (SELECT count(*) FROM "told") FROM "session"

-- name: rotate
UPDATE "sessionStoreToken" SET
  "generation" = "generation" + 1, "createdAt" = now(), "issuedAt" = now(),
  "settledAt" = GREATEST(now(), "issuedAt" + $5::interval),
  "expiresAt" = LEAST(now() + COALESCE("refreshTokenTtl", $7) * interval '1 s', "sessionExpiresAt"),
  "expiresOn" = (LEAST(now() + COALESCE("refreshTokenTtl", $7) * interval '1 s', "sessionExpiresAt") AT TIME ZONE 'UTC')::date,
  "accessGeneration" = "accessGeneration" + 1, "confirmedAt" = NULL,
  "accessExpiresAt" = LEAST(now() + COALESCE("accessTokenTtl", $6) * interval '1 s', "sessionExpiresAt"),
  "clientUserAgent" = $8, "clientIp" = $9::text::inet
WHERE "id" = $2 AND "session" = $1 AND "refreshToken" IS NULL AND "generation" = $3
  AND ("issuedAt" IS NULL OR "issuedAt" <= now() - $4::interval)
  AND "revokedAt" IS NULL AND "expiresAt" > now()
RETURNING "issuedAt", "expiresAt", "accessGeneration", "accessExpiresAt"

-- name: lockPair
SELECT 1 FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id"
WHERE s."id" = $1 AND r."id" = $2 AND r."refreshToken" IS NULL
FOR NO KEY UPDATE OF s, r

-- name: readPair
SELECT clock_timestamp(), s."subject", s."revokedAt" IS NOT NULL OR r."revokedAt" IS NOT NULL, r."sessionExpiresAt",
  r."accessTokenTtl", r."refreshTokenTtl",
  r."generation", r."createdAt", r."issuedAt", r."settledAt", r."expiresAt", r."lateRetryGeneration", r."lateRetries",
  r."accessGeneration", r."accessExpiresAt", r."confirmedAt"
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id"
WHERE s."id" = $1 AND r."id" = $2 AND r."refreshToken" IS NULL

-- name: writePair
UPDATE "sessionStoreToken" SET "generation" = $2, "createdAt" = $3, "issuedAt" = $4, "settledAt" = $5,
  "expiresAt" = $6::timestamptz, "expiresOn" = ($6::timestamptz AT TIME ZONE 'UTC')::date,
  "lateRetryGeneration" = $7, "lateRetries" = $8,
  "accessGeneration" = $9, "accessExpiresAt" = $10, "confirmedAt" = $11,
  "clientUserAgent" = $12, "clientIp" = $13::text::inet
WHERE "id" = $1

-- name: confirm
UPDATE "sessionStoreToken" SET "confirmedAt" = now()
WHERE "id" IN (
  SELECT r."id" FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) AS seen("id", "generation", "mintedAt")
  JOIN "sessionStoreToken" r
    ON r."id" = seen."id" AND r."accessGeneration" = seen."generation" AND COALESCE(r."issuedAt", r."createdAt") = seen."mintedAt"
  WHERE r."confirmedAt" IS NULL
  FOR NO KEY UPDATE OF r SKIP LOCKED)

-- name: leakFacts
SELECT s."createdAt", s."clientLabel", s."clientUserAgent", host(s."clientIp"), r."clientUserAgent", host(r."clientIp")
FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id"
WHERE s."id" = $1 AND r."id" = $2

-- name: deleteExpired
WITH "lock" AS MATERIALIZED (
  SELECT pg_try_advisory_xact_lock($3) AS "got"
), "doomed" AS MATERIALIZED (
  SELECT s."id" FROM "sessionStoreToken" r JOIN "sessionStore" s ON s."id" = r."session"
  WHERE r."expiresOn" < ((now() - $1 * interval '1 s') AT TIME ZONE 'UTC')::date AND (SELECT "got" FROM "lock")
  LIMIT $2 FOR UPDATE OF s, r SKIP LOCKED
), "token" AS (
  DELETE FROM "sessionStoreToken" t USING "doomed" WHERE t."session" = "doomed"."id"
), "session" AS (
  DELETE FROM "sessionStore" s USING "doomed" WHERE s."id" = "doomed"."id" RETURNING 1
)
SELECT (SELECT "got" FROM "lock"), (SELECT count(*) FROM "session")

-- name: deleteRevoked
WITH "lock" AS MATERIALIZED (
  SELECT pg_try_advisory_xact_lock($3) AS "got"
), "doomed" AS MATERIALIZED (
  SELECT s."id" FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
  WHERE s."revokedAt" < now() - $1 * interval '1 s' AND (SELECT "got" FROM "lock")
  LIMIT $2 FOR UPDATE OF s, r SKIP LOCKED
), "token" AS (
  DELETE FROM "sessionStoreToken" t USING "doomed" WHERE t."session" = "doomed"."id"
), "session" AS (
  DELETE FROM "sessionStore" s USING "doomed" WHERE s."id" = "doomed"."id" RETURNING 1
)
SELECT (SELECT "got" FROM "lock"), (SELECT count(*) FROM "session")

-- name: deleteAged
WITH "lock" AS MATERIALIZED (
  SELECT pg_try_advisory_xact_lock($3) AS "got"
), "doomed" AS MATERIALIZED (
  SELECT s."id" FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
  WHERE s."createdAt" < now() - $1 * interval '1 s' AND s."id" <
    (lpad(to_hex((extract(epoch FROM now() - $1 * interval '1 s') * 1000)::bigint), 12, '0') || repeat('f', 20))::uuid AND (SELECT "got" FROM "lock")
  LIMIT $2 FOR UPDATE OF s, r SKIP LOCKED
), "token" AS (
  DELETE FROM "sessionStoreToken" t USING "doomed" WHERE t."session" = "doomed"."id"
), "session" AS (
  DELETE FROM "sessionStore" s USING "doomed" WHERE s."id" = "doomed"."id" RETURNING 1
)
SELECT (SELECT "got" FROM "lock"), (SELECT count(*) FROM "session")

-- name: countExpired
SELECT count(*) FROM "sessionStoreToken" r JOIN "sessionStore" s ON s."id" = r."session"
  WHERE r."expiresOn" < ((now() - $1 * interval '1 s') AT TIME ZONE 'UTC')::date

-- name: revoked
SELECT NULL::uuid, NULL::bigint, pg_current_snapshot()::text,
  (SELECT "system_identifier" FROM pg_control_system()) || '-' || (SELECT "id" FROM "sessionStoreEpoch"), floor(extract(epoch FROM now()))::bigint
UNION ALL
SELECT "id", "until", NULL, NULL, NULL FROM (
  SELECT s."id", ceil(extract(epoch FROM greatest(t."accessExpiresAt",
  s."revokedAt" + make_interval(secs => coalesce(t."accessTokenTtl", $1)))))::bigint + $2 AS "until"
  FROM "sessionStore" s
  LEFT JOIN "sessionStoreToken" t ON t."session" = s."id"
  WHERE s."revokedAt" > now() - make_interval(secs => $3)
) r WHERE "until" >= floor(extract(epoch FROM now()))

-- name: newlyRevoked
SELECT NULL::uuid, NULL::bigint, pg_current_snapshot()::text,
  (SELECT "system_identifier" FROM pg_control_system()) || '-' || (SELECT "id" FROM "sessionStoreEpoch"), floor(extract(epoch FROM now()))::bigint
UNION ALL
SELECT s."id", ceil(extract(epoch FROM greatest(t."accessExpiresAt",
  s."revokedAt" + make_interval(secs => coalesce(t."accessTokenTtl", $1)))))::bigint + $2, NULL, NULL, NULL FROM (
  (SELECT "id", "revokedAt" FROM "sessionStore"
   WHERE "revokedXid" >= pg_snapshot_xmax($3::text::pg_snapshot) AND "revokedXid" < pg_snapshot_xmax(pg_current_snapshot())
   ORDER BY "revokedXid" LIMIT $4)
  UNION ALL
  (SELECT "id", "revokedAt" FROM "sessionStore"
   WHERE "revokedXid" = ANY (ARRAY(SELECT pg_snapshot_xip($3::text::pg_snapshot)))
   ORDER BY "revokedXid" LIMIT $4)
) s LEFT JOIN LATERAL (
  SELECT max("accessExpiresAt") AS "accessExpiresAt", max("accessTokenTtl") AS "accessTokenTtl"
  FROM "sessionStoreToken" WHERE "session" = s."id"
) t ON true

-- name: strict
SELECT "revokedAt" IS NULL FROM "sessionStore" WHERE "id" = $1

-- name: makeEpoch
INSERT INTO "sessionStoreEpoch" ("id") VALUES (gen_random_uuid()) ON CONFLICT DO NOTHING
