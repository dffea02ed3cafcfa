-- The tables of @compas/store for sessions, with the foreign keys and indexes of its documentation, and the queue that
-- it reports a stolen refresh token to.
CREATE TABLE "sessionStore" (
    "id" uuid PRIMARY KEY NOT NULL DEFAULT gen_random_uuid(),
    "checksum" varchar NOT NULL,
    "data" jsonb NOT NULL,
    "revokedAt" timestamptz NULL,
    "createdAt" timestamptz NOT NULL DEFAULT now(),
    "updatedAt" timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE "sessionStoreToken" (
    "id" uuid PRIMARY KEY NOT NULL DEFAULT gen_random_uuid(),
    "session" uuid NOT NULL,
    "expiresAt" timestamptz NOT NULL,
    "refreshToken" uuid NULL,
    "revokedAt" timestamptz NULL,
    "createdAt" timestamptz NOT NULL,
    CONSTRAINT "sessionStoreTokenSessionFk" FOREIGN KEY ("session") REFERENCES "sessionStore" ("id") ON DELETE CASCADE,
    CONSTRAINT "sessionStoreTokenRefreshTokenFk" FOREIGN KEY ("refreshToken") REFERENCES "sessionStoreToken" ("id") ON DELETE CASCADE
);

CREATE INDEX "sessionStoreTokenSessionIdx" ON "sessionStoreToken" ("session");
CREATE INDEX "sessionStoreTokenRefreshTokenIdx" ON "sessionStoreToken" ("refreshToken");

CREATE TABLE "job" (
    "id" bigserial PRIMARY KEY NOT NULL,
    "isComplete" boolean NOT NULL,
    "handlerTimeout" int NULL,
    "priority" int NOT NULL,
    "retryCount" int NOT NULL DEFAULT 0,
    "name" varchar NOT NULL,
    "scheduledAt" timestamptz NOT NULL,
    "data" jsonb NOT NULL,
    "createdAt" timestamptz NOT NULL DEFAULT now(),
    "updatedAt" timestamptz NOT NULL DEFAULT now()
);
