package sessionstore

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/revocations"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// anewTime is the time of revocation for a session s that is listed in "lost": its former
// one, unless tokens of the session were made since.
const anewTime = `GREATEST("lost"."at", ` + tokensMade + `)`

// Only those sessions are revoked that the database has as live: another replica may
// already have revoked the others again.
const revokeAnewQuery = `
WITH "lost" ("id", "at", "reason", "by") AS MATERIALIZED (
  SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[])
), "target" AS MATERIALIZED (
  SELECT "id", ` + ownXid + ` FROM "sessionStore" WHERE "id" = ANY ($1) AND CASE WHEN "revokedAt" IS NULL THEN true ELSE false END ORDER BY "id" FOR NO KEY UPDATE
), "session" AS (
  UPDATE "sessionStore" s SET "revokedAt" = ` + anewTime + `, "revokedXid" = (SELECT "xid" FROM "target" LIMIT 1),
    "endReason" = "lost"."reason", "endedBy" = "lost"."by" FROM "lost"
  WHERE s."id" = ANY (ARRAY(SELECT "id" FROM "target")) AND s."id" = "lost"."id"
  RETURNING s."id"
), ` + tellVerifiers + `
SELECT count(*), (SELECT count(*) FROM "told"), NULL::uuid FROM "session"`

// revokeAnew revokes sessions whose revocation was lost in a failover or a restore, with
// the former time and cause. Observers are not notified: no session has newly ended.
func revokeAnew(ctx context.Context, conn *pgx.Conn, sessions []revocations.Ended) (n int64, err error) {
	ids, at := make([]pgtype.UUID, len(sessions)), make([]pgtype.Timestamptz, len(sessions))
	reasons, by := make([]*string, len(sessions)), make([]*string, len(sessions))
	for i, s := range sessions {
		ids[i], at[i] = pgvalue.UUID(s.ID), pgtype.Timestamptz{Time: s.At, Valid: true}
		reasons[i], by[i] = pgvalue.OrNull(s.Reason), pgvalue.OrNull(s.By)
	}
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		batch, err := revokeSome(ctx, tx, "", revokeAnewQuery, ids, at, reasons, by)
		n = batch.sessions
		return err
	})
	if err != nil {
		return 0, sessionerr.Unavailable("revoke sessions again", err)
	}
	return n, nil
}
