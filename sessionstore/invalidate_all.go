package sessionstore

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/revocations"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// The rows are locked in the order of their ids, as everywhere, and found by the
// primary key: what was revoked before costs one lookup. A session that Compas began may have rows
// of several eras, the first of which counts. Verifiers know already.
const revokeSignedOutQuery = `
WITH "target" AS MATERIALIZED (
  SELECT s."id", ended."at", ended."reason", ended."by", ` + ownXid + `
  FROM "sessionStore" s
  CROSS JOIN LATERAL (SELECT min(COALESCE("era", 0)) AS "era" FROM "sessionStoreToken" WHERE "session" = s."id") r
  ` + endOfEra + `
  WHERE s."id" > $1 AND CASE WHEN s."revokedAt" IS NULL THEN true ELSE false END AND ended."at" IS NOT NULL
  ORDER BY s."id" LIMIT $2 FOR NO KEY UPDATE OF s
), "session" AS (
  UPDATE "sessionStore" s SET "revokedAt" = GREATEST("target"."at", s."createdAt"), "revokedXid" = "target"."xid",
    "endReason" = "target"."reason", "endedBy" = "target"."by" FROM "target"
  WHERE s."id" = ANY (ARRAY(SELECT "id" FROM "target")) AND s."id" = "target"."id"
  RETURNING s."id"
)
SELECT count(*), 0::bigint, (SELECT "id" FROM "target" ORDER BY "id" DESC LIMIT 1) FROM "session"`

// RevokeSignedOut changes the rows of those sessions that have ended because everyone was signed out:
// in batches, each a separate short transaction. They are revoked as of then, so that an event is sent for
// each, and an earlier release or Compas, which know nothing of [Store.SignOutAll], refuse them as well. It
// returns how many there were, even with an error, and calling it again continues. progress, if not nil,
// is called with that number after each batch.
func (s *Store) RevokeSignedOut(ctx context.Context, progress func(revoked int64)) (n int64, err error) {
	ctx = s.begin(ctx, OperationRevoke)
	defer func() { s.end(ctx, Result{Operation: OperationRevoke, Err: err}) }()

	n, _, err = s.revokeSignedOut(ctx, progress)
	return n, err
}

func (s *Store) revokeSignedOut(ctx context.Context, progress func(revoked int64)) (n int64, ended perClient, err error) {
	for last := (pgtype.UUID{Bytes: uuid.Nil, Valid: true}); ; {
		batch, err := revokeSome(ctx, s.pool, "", revokeSignedOutQuery, last, revokeBatch)
		if err != nil {
			return n, ended, sessionerr.Unavailable("revoke all sessions", err)
		}
		if !batch.last.Valid {
			return n, ended, nil
		}
		ended.addAll(batch.all)
		n, last = n+batch.sessions, batch.last
		if progress != nil {
			progress(n)
		}
	}
}

// InvalidateAll is [Store.SignOutAll], followed by [Store.RevokeSignedOut]. It returns how many
// sessions it revoked, even with an error: everyone may be signed out all the same. Without a cause it is
// [ReasonAllSignedOut].
func (s *Store) InvalidateAll(ctx context.Context, progress func(revoked int64), cause ...Cause) (n int64, err error) {
	result := Result{Operation: OperationRevoke}
	ctx = s.begin(ctx, OperationRevoke)
	var ended perClient
	defer func() {
		result.Err, result.Revoked, result.RevokedByClient = err, n, ended.named(s.rules.FirstClient)
		s.end(ctx, result)
	}()

	why, err := causeOf(cause, ReasonAllSignedOut)
	if err != nil {
		return 0, err
	}
	if _, err := s.signOutAll(ctx, revocations.SignOut{Reason: string(why.Reason), By: why.By}); err != nil {
		return 0, err
	}
	result.Everyone = true
	n, ended, err = s.revokeSignedOut(ctx, progress)
	return n, err
}
