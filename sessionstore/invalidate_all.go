package sessionstore

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

const beginningQuery = `SELECT now()`

// The rows are locked in the order of their ids, as everywhere, and found by the
// primary key: what was revoked before costs one lookup. Sessions that began in the
// meantime are left alone. A session whose creation lies in the future by the present clock
// is not one of those: the clock was ahead when it was made.
const invalidateBatchQuery = `
WITH "target" AS MATERIALIZED (
  SELECT "id", $4::text AS "reason", $5::text AS "by", ` + ownXid + ` FROM "sessionStore"
  WHERE "id" > $1 AND CASE WHEN "revokedAt" IS NULL THEN "createdAt" <= $2 OR "createdAt" > clock_timestamp() ELSE false END
  ORDER BY "id" LIMIT $3 FOR NO KEY UPDATE
), ` + revokeTargets + `
SELECT count(*), (SELECT count(*) FROM "told"), (SELECT "id" FROM "target" ORDER BY "id" DESC LIMIT 1) FROM "session"`

// InvalidateAll is [Store.Invalidate] for all sessions that existed when it began, in batches, each a
// separate short transaction. A user who signs in meanwhile, even by [Store.Replace], stays signed in. It
// returns how many it revoked, even with an error: those stay revoked, and calling it again continues.
// progress, if not nil, is called with that number after each batch. Without a cause it is
// [ReasonAllSignedOut].
func (s *Store) InvalidateAll(ctx context.Context, progress func(revoked int64), cause ...Cause) (n int64, err error) {
	ctx = s.begin(ctx, OperationRevoke)
	var ended perClient
	defer func() {
		s.end(ctx, Result{Operation: OperationRevoke, Err: err, Revoked: n, RevokedByClient: ended.named(s.rules.FirstClient)})
	}()

	why, err := causeOf(cause, ReasonAllSignedOut)
	if err != nil {
		return 0, err
	}
	var began time.Time
	if err := s.pool.QueryRow(ctx, beginningQuery).Scan(&began); err != nil {
		return 0, sessionerr.Unavailable("revoke all sessions", err)
	}
	for last := (pgtype.UUID{Bytes: uuid.Nil, Valid: true}); ; {
		batch, err := revokeSome(ctx, s.pool, "", invalidateBatchQuery, last, began, revokeBatch, why.Reason, why.by())
		if err != nil {
			return n, sessionerr.Unavailable("revoke all sessions", err)
		}
		if !batch.last.Valid {
			return n, nil
		}
		ended.addAll(batch.all)
		n, last = n+batch.sessions, batch.last
		if progress != nil {
			progress(n)
		}
	}
}
