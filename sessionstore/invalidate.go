package sessionstore

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// revokeTokens revokes the token rows of the CTE "session", each refresh row
// before its access row: the order in which a refresh locks them.
const revokeTokens = `"refresh" AS (
  UPDATE "sessionStoreToken" r SET "revokedAt" = now() FROM "session"
  WHERE r."session" = "session"."id" AND r."refreshToken" IS NULL
  RETURNING r."id"
), "access" AS (
  UPDATE "sessionStoreToken" a SET "revokedAt" = now() FROM "refresh"
  WHERE a."refreshToken" = "refresh"."id"
)`

const invalidateQuery = `
WITH "session" AS (
  UPDATE "sessionStore" SET "revokedAt" = now()
  WHERE "id" = $1 AND "revokedAt" IS NULL AND ($2::text IS NULL OR "subject" = $2)
  RETURNING "id"
), ` + revokeTokens + `
SELECT EXISTS (SELECT FROM "sessionStore" WHERE "id" = $1 AND ($2::text IS NULL OR "subject" = $2))`

// Invalidate revokes a session and its tokens. When it has returned, no
// refresh, Get or Update of the session succeeds. Repeating it is no error; an
// unknown id is [ErrNotFound].
func (s *Store) Invalidate(ctx context.Context, id uuid.UUID) error {
	return invalidate(ctx, s.pool, id, "")
}

// InvalidateOwn is [Store.Invalidate] for a session of the given subject;
// another's is [ErrNotFound].
func (s *Store) InvalidateOwn(ctx context.Context, subject string, id uuid.UUID) error {
	if subject == "" {
		return ErrNotFound
	}
	return invalidate(ctx, s.pool, id, subject)
}

// querier is the pool or a transaction on it.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func invalidate(ctx context.Context, db querier, id uuid.UUID, subject string) error {
	var exists bool
	if err := db.QueryRow(ctx, invalidateQuery, id, orNull(subject)).Scan(&exists); err != nil {
		return unavailable("revoke a session", err)
	}
	if !exists {
		return ErrNotFound
	}
	return nil
}

// The rows are locked in the order of their ids first, or two sign-outs of one
// subject could wait for each other.
const invalidateSubjectQuery = `
WITH "target" AS MATERIALIZED (
  SELECT "id" FROM "sessionStore"
  WHERE "subject" = $1 AND "revokedAt" IS NULL AND "id" <> $2
  ORDER BY "id" FOR NO KEY UPDATE
), "session" AS (
  UPDATE "sessionStore" s SET "revokedAt" = now() FROM "target"
  WHERE s."id" = "target"."id"
  RETURNING s."id"
), ` + revokeTokens + `
SELECT count(*) FROM "session"`

// InvalidateSubject is [Store.Invalidate] for all sessions of a subject but
// keep, which may be zero to keep none. It returns how many it revoked.
func (s *Store) InvalidateSubject(ctx context.Context, subject string, keep uuid.UUID) (int64, error) {
	if subject == "" {
		return 0, argumentError("subject", "must not be empty")
	}
	if err := checkText("subject", subject, maxSubjectBytes); err != nil {
		return 0, err
	}
	var n int64
	if err := s.pool.QueryRow(ctx, invalidateSubjectQuery, subject, keep).Scan(&n); err != nil {
		return 0, unavailable("revoke a subject's sessions", err)
	}
	return n, nil
}

// RevokeToken ends the session of an access or a refresh token (RFC 7009
// §2.1). A token that is unknown, expired or not ours is no error (§2.2).
func (s *Store) RevokeToken(ctx context.Context, token string) error {
	claims, err := s.verifier.VerifyAny(token)
	if errors.Is(err, tokens.ErrInvalid) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.Invalidate(ctx, claims.SessionID); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}
