package sessionstore

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/groupcommit"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
)

// revokeTogetherQuery is invalidateQuery for several sessions, with one notification for
// verifiers. A session that another transaction has locked is left out: no call waits for
// another's session, and locks need no order. Of several calls that end the same session,
// the first one does. The array of ids is read as in rotateTogetherQuery.
const revokeTogetherQuery = `
WITH "asked" AS MATERIALIZED (
  SELECT "n", "id", ($2::text[])["n"] AS "subject", ($3::text[])["n"] AS "reason", ($4::text[])["n"] AS "by"
  FROM unnest((SELECT $1::uuid[])) WITH ORDINALITY AS u("id", "n")
), "free" AS MATERIALIZED (
  SELECT s."id", a."n", a."reason", a."by", ` + ownXid + `
  FROM "asked" a
  JOIN "sessionStore" s ON s."id" = a."id" AND s."revokedAt" IS NULL AND (a."subject" IS NULL OR s."subject" = a."subject")
  FOR NO KEY UPDATE OF s SKIP LOCKED
), "target" AS MATERIALIZED (
  SELECT DISTINCT ON ("id") * FROM "free" ORDER BY "id", "n"
), ` + revokeTargets + `
SELECT a."n", s."id" IS NOT NULL, s."revokedAt" IS NOT NULL OR e."id" IS NOT NULL, t."n" IS NOT NULL,
  CASE WHEN t."n" IS NOT NULL THEN s."subject" END,
  CASE WHEN t."n" IS NOT NULL THEN (SELECT r."client" FROM "sessionStoreToken" r WHERE r."session" = t."id" AND r."refreshToken" IS NULL LIMIT 1) END,
  CASE WHEN t."n" IS NOT NULL THEN (SELECT ` + contextAlone + ` FROM "sessionStoreToken" r WHERE r."session" = t."id" AND r."refreshToken" IS NULL LIMIT 1) END,
  (SELECT count(*) FROM "told"), ` + worked + `
FROM "asked" a
LEFT JOIN "sessionStore" s ON s."id" = a."id" AND (a."subject" IS NULL OR s."subject" = a."subject")
LEFT JOIN "session" e ON e."id" = s."id"
LEFT JOIN "target" t ON t."n" = a."n" AND t."id" = e."id"`

func (s statements) revoke(ctx context.Context, all []*groupcommit.Call[revocation]) error {
	for _, c := range all {
		c.Of.of.client.first = s.rules.FirstClient
	}
	if len(all) == 1 {
		return revoke(ctx, s.pool, &all[0].Of)
	}
	batch := &pgx.Batch{}
	batch.Queue(revokeTogetherQuery,
		column(all, func(r *revocation) pgtype.UUID { return pgvalue.UUID(r.id) }),
		column(all, func(r *revocation) pgtype.Text { return pgvalue.Text(r.subject) }),
		column(all, func(r *revocation) pgtype.Text { return pgvalue.Text(string(r.cause.Reason)) }),
		column(all, func(r *revocation) pgtype.Text { return pgvalue.Text(r.cause.By) }),
	).Query(func(rows pgx.Rows) error { return readRevocations(rows, all) })
	batch.Queue(revokeTokensQuery)
	return s.pool.SendBatch(ctx, batch).Close()
}

// readRevocations notes the result for each.
func readRevocations(rows pgx.Rows, all []*groupcommit.Call[revocation]) error {
	var n, told, worked int64
	r := revocation{of: owner{client: all[0].Of.of.client}}
	_, err := pgx.ForEachRow(rows, []any{&n, &r.exists, &r.isDone, &r.revoked, &r.of.subject, &r.of.client, &r.of.context, &told, &worked}, func() error {
		noteWorked(all[n-1], worked)
		c := &all[n-1].Of
		c.exists, c.isDone, c.revoked, c.of = r.exists, r.isDone, r.revoked, r.of
		return nil
	})
	return err
}
