package sessionstore

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/groupcommit"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// revokeTogetherQuery is invalidateQuery for several sessions, of which verifiers are told
// once. A session that somebody else has locked is left out: nobody waits for another's
// session, and no order of locks has to be kept. Of those who want to end the same session,
// the first one does. The array of ids is read as that of rotateTogetherQuery.
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

// revocation is one session that is to end, and what became of that.
type revocation struct {
	id      uuid.UUID
	subject string // whose it must be, if that matters
	cause   Cause

	exists, revoked bool
	// isDone is false of a session that somebody has locked.
	isDone bool
	of     owner // where it was revoked
}

// owner is whose a session was, and the context of its tokens.
type owner struct {
	subject pgtype.Text
	client  clientScanner
	context pgtype.Text
}

// actor is who acted for the subject.
func (o owner) actor() *tokens.Actor {
	context, _, err := tokens.SplitClaims(o.context.String)
	if err != nil {
		return nil // the session has ended all the same
	}
	return context.Actor
}

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

// readRevocations notes what became of each.
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
