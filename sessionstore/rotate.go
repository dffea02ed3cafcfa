package sessionstore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
)

// Most refreshes are rotations of a pair's newest token. They are one conditional
// statement, and where many come at once they share it.

// rotated is case Rotated of decide, and pair.rotate: what becomes of the row t of
// the pair that was asked for by a.
const rotated = `
  "generation" = t."generation" + 1, "createdAt" = now(), "issuedAt" = now(),
  "settledAt" = GREATEST(now(), t."issuedAt" + $5::interval),
  "expiresAt" = LEAST(now() + COALESCE(t."refreshTokenTtl", $7) * interval '1 s', t."sessionExpiresAt"),
  "expiresOn" = (LEAST(now() + COALESCE(t."refreshTokenTtl", $7) * interval '1 s', t."sessionExpiresAt") AT TIME ZONE 'UTC')::date,
  "accessGeneration" = t."accessGeneration" + 1, "confirmedAt" = NULL,
  "accessExpiresAt" = LEAST(now() + COALESCE(t."accessTokenTtl", $6) * interval '1 s', t."sessionExpiresAt"),
  "clientUserAgent" = a."userAgent", "clientIp" = a."ip"::inet,
  "dpopJkt" = COALESCE(t."dpopJkt", a."jkt")`

// rotatable is whether it is case Rotated. It need not look at the session's row,
// because Invalidate changes this one too.
const rotatable = `t."id" = a."id" AND t."session" = a."session" AND t."refreshToken" IS NULL AND t."generation" = a."generation"
  AND (t."issuedAt" IS NULL OR t."issuedAt" <= now() - $4::interval)
  AND t."revokedAt" IS NULL AND t."expiresAt" > now()
  AND (t."dpopJkt" IS NULL OR t."dpopJkt" = a."jkt")`

const rotatedColumns = `a."n", t."issuedAt", t."expiresAt", t."accessGeneration", t."accessExpiresAt"`

// rotateQuery changes one row, which it finds by its primary key, and no index but
// that of expiresOn, once a day.
const rotateQuery = `
UPDATE "sessionStoreToken" t SET` + rotated + `
FROM (SELECT $1::uuid AS "session", $2::uuid AS "id", $3::bigint AS "generation", $8::text AS "userAgent", $9::text AS "ip", $10::text AS "jkt", 1::bigint AS "n") a
WHERE ` + rotatable + `
RETURNING ` + rotatedColumns

// rotateTogetherQuery is the same for several pairs. A row that somebody else has
// locked is left out, as if it were not rotatable: nobody waits for another's
// session, and no order of locks has to be kept. Of two who present the same token,
// n tells which one is answered; the other finds it rotated. Each array is a
// subquery's, so that the planner takes every number of them for the same and need
// not plan anew.
const rotateTogetherQuery = `
WITH "free" AS (
  SELECT a.* FROM unnest((SELECT $1::uuid[]), (SELECT $2::uuid[]), (SELECT $3::bigint[]), (SELECT $8::text[]), (SELECT $9::text[]), (SELECT $10::text[]))
    WITH ORDINALITY AS a("session", "id", "generation", "userAgent", "ip", "jkt", "n")
  JOIN "sessionStoreToken" t ON ` + rotatable + `
  FOR NO KEY UPDATE OF t SKIP LOCKED
)
UPDATE "sessionStoreToken" t SET` + rotated + `
FROM "free" a
WHERE t."id" = a."id"
RETURNING ` + rotatedColumns

// rotation is a refresh token that was presented, and the pair that it gets if it
// is case Rotated.
type rotation struct {
	presented

	rotated bool
	next    refresh.Pair
}

// rotateNewest rotates the pair if the token is its newest one and its time has
// come. Otherwise nothing is changed and the error is pgx.ErrNoRows. The database's
// time is that of the pair's issue.
func (s *Store) rotateNewest(ctx context.Context, p presented) (refresh.Pair, error) {
	r, err := s.rotations.do(ctx, rotation{presented: p})
	if err == nil && !r.of.rotated {
		err = pgx.ErrNoRows
	}
	return r.of.next, err
}

func (s *Store) rotate(ctx context.Context, all []*call[rotation]) error {
	var rows pgx.Rows
	if len(all) == 1 {
		r := &all[0].of
		rows, _ = s.pool.Query(ctx, rotateQuery, s.rotationArgs(arg(r.claims.SessionID), arg(r.claims.TokenID), r.claims.Generation,
			orNull(r.client.UserAgent), orNull(r.client.IP), orNull(r.proven))...)
	} else {
		rows, _ = s.pool.Query(ctx, rotateTogetherQuery, s.rotationArgs(
			column(all, func(r *rotation) [16]byte { return r.claims.SessionID }),
			column(all, func(r *rotation) [16]byte { return r.claims.TokenID }),
			column(all, func(r *rotation) int64 { return r.claims.Generation }),
			column(all, func(r *rotation) *string { return orNull(r.client.UserAgent) }),
			column(all, func(r *rotation) *string { return orNull(r.client.IP) }),
			column(all, func(r *rotation) *string { return orNull(r.proven) }))...)
	}
	return readRotated(rows, all)
}

// rotationArgs are the arguments of both statements: one value of each kind, or an
// array.
func (s *Store) rotationArgs(sessions, ids, generations, agents, ips, proven any) []any {
	return []any{
		sessions, ids, generations, refresh.FreshGraces * s.cfg.Grace, refresh.SettleGraces * s.cfg.Grace,
		seconds(s.cfg.Lifetimes.AccessToken), seconds(s.cfg.Lifetimes.RefreshToken), agents, ips, proven,
	}
}

// readRotated notes the pairs that were rotated. If the statement failed, none was:
// the rows have its error, that of its commit too.
func readRotated(rows pgx.Rows, all []*call[rotation]) error {
	defer rows.Close()
	for rows.Next() {
		var n int
		var p refresh.Pair
		if err := rows.Scan(&n, &p.IssuedAt, &p.ExpiresAt, &p.AccessGeneration, &p.AccessExpiresAt); err != nil {
			return err
		}
		r := &all[n-1].of
		p.SessionID, p.Subject = r.claims.SessionID, r.claims.Subject
		p.ID, p.Generation, p.CreatedAt = r.claims.TokenID, r.claims.Generation+1, p.IssuedAt
		p.BoundTo = r.proven
		r.next, r.rotated = p, true
	}
	rows.Close()
	return rows.Err()
}
