-- The tables of @compas/store that hold sessions: the columns of its queries, the foreign keys and the two indexes of its
-- documentation. Its code generator suggests three more indexes, which only cost time here. Ids come from PostgreSQL's
-- own function instead of an extension's: of the same kind, and faster.
CREATE TABLE "sessionStore" (
    "id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    "checksum" varchar NOT NULL,
    "data" jsonb NOT NULL,
    "revokedAt" timestamptz,
    "createdAt" timestamptz NOT NULL DEFAULT now(),
    "updatedAt" timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE "sessionStoreToken" (
    "id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    "session" uuid NOT NULL REFERENCES "sessionStore" ("id") ON DELETE CASCADE,
    "expiresAt" timestamptz NOT NULL,
    "refreshToken" uuid REFERENCES "sessionStoreToken" ("id") ON DELETE CASCADE,
    "revokedAt" timestamptz,
    "createdAt" timestamptz NOT NULL
);

CREATE INDEX ON "sessionStoreToken" ("session");
CREATE INDEX ON "sessionStoreToken" ("refreshToken");
