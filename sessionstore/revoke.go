package sessionstore

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/revocations"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// revokeTokens continues the CTE "session", which has revoked sessions: it
// revokes their tokens, after them in the order of locks, and tells verifiers.
const revokeTokens = `"pair" AS (
  UPDATE "sessionStoreToken" r SET "revokedAt" = now() FROM "session"
  WHERE r."session" = "session"."id" AND r."revokedAt" IS NULL
), "told" AS MATERIALIZED (
  SELECT pg_notify('` + revocations.Channel + `', '') FROM "session" LIMIT 1
)`

// revokeTargets continues the CTE "target", which has locked sessions in the order
// of their ids: it revokes them, and then their tokens.
const revokeTargets = `"session" AS (
  UPDATE "sessionStore" s SET "revokedAt" = now(), "revokedXid" = pg_current_xact_id() FROM "target"
  WHERE s."id" = "target"."id"
  RETURNING s."id"
), ` + revokeTokens

const invalidateQuery = `
WITH "session" AS (
  UPDATE "sessionStore" SET "revokedAt" = now(), "revokedXid" = pg_current_xact_id()
  WHERE "id" = $1 AND "revokedAt" IS NULL AND ($2::text IS NULL OR "subject" = $2)
  RETURNING "id", "subject"
), ` + revokeTokens + `
SELECT EXISTS (SELECT FROM "sessionStore" WHERE "id" = $1 AND ($2::text IS NULL OR "subject" = $2)), (SELECT count(*) FROM "told"),
  (SELECT "subject" FROM "session")`

// querier is the pool or a transaction on it.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// revoke returns how many sessions it ended, which is none if that has been
// revoked, and whose it was.
func revoke(ctx context.Context, db querier, id uuid.UUID, subject string) (revoked int64, of string, err error) {
	var exists bool
	var owner pgtype.Text
	// A CTE that is not read is not run. There is one notification if there was a session to end.
	if err := db.QueryRow(ctx, invalidateQuery, pgvalue.UUID(id), pgvalue.OrNull(subject)).Scan(&exists, &revoked, &owner); err != nil {
		return 0, "", sessionerr.Unavailable("revoke a session", err)
	}
	if !exists {
		return 0, "", ErrNotFound
	}
	return revoked, owner.String, nil
}
