package sessionstore

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// revocationChannel is what verifiers listen on: a revocation wakes them. It
// is the only operation that notifies, for to commit a notification takes a lock
// that the whole database shares.
const revocationChannel = "latchkey_revoked"

// revokeTokens continues the CTE "session", which has revoked sessions: it
// revokes their tokens, after them in the order of locks, and tells verifiers.
const revokeTokens = `"pair" AS (
  UPDATE "sessionStoreToken" r SET "revokedAt" = now() FROM "session"
  WHERE r."session" = "session"."id" AND r."revokedAt" IS NULL
), "told" AS MATERIALIZED (
  SELECT pg_notify('` + revocationChannel + `', '') FROM "session" LIMIT 1
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

// Invalidate revokes a session and its tokens. When it has returned, no
// refresh, Get or Update of the session succeeds. Repeating it is no error; an
// unknown id is [ErrNotFound].
func (s *Store) Invalidate(ctx context.Context, id uuid.UUID) error {
	return s.invalidate(ctx, id, "")
}

// InvalidateOwn is [Store.Invalidate] for a session of the given subject;
// another's is [ErrNotFound].
func (s *Store) InvalidateOwn(ctx context.Context, subject string, id uuid.UUID) error {
	if subject == "" {
		return ErrNotFound
	}
	return s.invalidate(ctx, id, subject)
}

func (s *Store) invalidate(ctx context.Context, id uuid.UUID, subject string) (err error) {
	result := Result{Operation: OperationRevoke}
	ctx = s.begin(ctx, OperationRevoke)
	defer func() {
		result.Err = err
		s.end(ctx, result)
	}()

	if result.Revoked, result.Subject, err = revoke(ctx, s.pool, id, subject); result.Revoked > 0 {
		result.Changed = id
	}
	return err
}

// querier is the pool or a transaction on it.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func invalidate(ctx context.Context, db querier, id uuid.UUID, subject string) error {
	_, _, err := revoke(ctx, db, id, subject)
	return err
}

// revoke returns how many sessions it ended, which is none if that has been
// revoked, and whose it was.
func revoke(ctx context.Context, db querier, id uuid.UUID, subject string) (revoked int64, of string, err error) {
	var exists bool
	var owner pgtype.Text
	// A CTE that is not read is not run. There is one notification if there was a session to end.
	if err := db.QueryRow(ctx, invalidateQuery, arg(id), orNull(subject)).Scan(&exists, &revoked, &owner); err != nil {
		return 0, "", unavailable("revoke a session", err)
	}
	if !exists {
		return 0, "", ErrNotFound
	}
	return revoked, owner.String, nil
}

// The rows are locked in the order of their ids first, or two sign-outs of one
// subject could wait for each other.
const invalidateSubjectQuery = `
WITH "target" AS MATERIALIZED (
  SELECT "id" FROM "sessionStore"
  WHERE "subject" = $1 AND "revokedAt" IS NULL AND "id" <> $2
  ORDER BY "id" FOR NO KEY UPDATE
), ` + revokeTargets + `
SELECT count(*), (SELECT count(*) FROM "told") FROM "session"`

// InvalidateSubject is [Store.Invalidate] for all sessions of a subject but
// keep, which may be zero to keep none. It returns how many it revoked.
func (s *Store) InvalidateSubject(ctx context.Context, subject string, keep uuid.UUID) (n int64, err error) {
	ctx = s.begin(ctx, OperationRevoke)
	defer func() {
		s.end(ctx, Result{Operation: OperationRevoke, Err: err, Revoked: n, Subject: subject, Kept: keep})
	}()

	if subject == "" {
		return 0, argumentError("subject", "must not be empty")
	}
	if err := checkText("subject", subject, maxSubjectBytes); err != nil {
		return 0, err
	}
	var told int64
	if err := s.pool.QueryRow(ctx, invalidateSubjectQuery, subject, arg(keep)).Scan(&n, &told); err != nil {
		return 0, unavailable("revoke a subject's sessions", err)
	}
	return n, nil
}

// RevokeToken ends the session of an access or a refresh token (RFC 7009
// §2.1). A token that is unknown, expired or not ours is no error (§2.2).
func (s *Store) RevokeToken(ctx context.Context, token string) error {
	claims, err := s.verifyAny(token)
	if errors.Is(err, tokens.ErrInvalid) {
		return s.revokeCompasToken(ctx, token)
	}
	if err != nil {
		return err
	}
	if err := s.Invalidate(ctx, claims.SessionID); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}
