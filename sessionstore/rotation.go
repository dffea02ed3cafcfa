package sessionstore

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/era"
	"github.com/latchkey-sessions/latchkey/internal/groupcommit"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/refresh"
)

// Most refreshes are rotations of a pair's newest token. They are one conditional
// statement, which many that arrive at once share.

// utc turns a timestamptz into a timestamp, and back. An interval is added to a timestamp: to add
// it to a timestamptz is STABLE, since a day of the interval may be longer than another, and an
// update of rows that are distributed takes no such function of its columns.
const utc = ` AT TIME ZONE INTERVAL '0'`

// replacedUntil is that of [refresh.Pair], for a row t: a day is [MaxAccessTokenTTL].
const replacedUntil = `LEAST(t."expiresAt", GREATEST(t."accessExpiresAt", (COALESCE(t."issuedAt", t."createdAt")` + utc + ` + interval '24 h')` + utc + `))`

// rotatedUntil is how long a rotated pair remains valid.
const rotatedUntil = `LEAST(GREATEST((now()` + utc + ` + COALESCE(a."refreshTtl", t."refreshTokenTtl", $7) * interval '1 s')` + utc + `, ` + replacedUntil + `), t."sessionExpiresAt")`

// rotated is case Rotated of decide, and pair.rotate: the new values of row t of
// the pair that a requested. What [Config].PairFor returned is included with
// forPair, and not with asEver: then the planner leaves it out.
const rotated = `
  "generation" = t."generation" + 1, "createdAt" = now(), "issuedAt" = now(),
  "grace" = $14,
  "settledAt" = GREATEST(now(), (t."issuedAt"` + utc + ` + $5::integer * COALESCE(t."grace", $14))` + utc + `),
  "expiresAt" = ` + rotatedUntil + `,
  "expiresOn" = (` + rotatedUntil + utc + `)::date,
  "accessGeneration" = t."accessGeneration" + 1, "confirmedAt" = NULL,
  "accessExpiresAt" = LEAST((now()` + utc + ` + COALESCE(a."accessTtl", t."accessTokenTtl", $6) * interval '1 s')` + utc + `, ` + rotatedUntil + `),
  "clientUserAgent" = a."userAgent", "clientIp" = a."ip"::inet,
  "dpopJkt" = COALESCE(t."dpopJkt", a."jkt"), "client" = COALESCE(t."client", $12),
  "audience" = COALESCE($11::jsonb -> 'audiences' ->> COALESCE(t."client", $12::text), t."audience"),
  "accessTokenTtl" = COALESCE(a."accessTtl", t."accessTokenTtl"), "refreshTokenTtl" = COALESCE(a."refreshTtl", t."refreshTokenTtl"),
  "claims" = CASE WHEN a."claims" IS NULL THEN t."claims"
    WHEN ` + hasContext + ` THEN split_part(t."claims", E'\n', 1) || E'\n' || CASE WHEN a."claims" = '{}' THEN '}' ELSE ',' || substr(a."claims", 2) END
    ELSE NULLIF(a."claims", '{}') END`

// A line break separates the context from the session's own claims: see
// [tokens.JoinClaims].
const hasContext = `strpos(t."claims", E'\n') > 0`

const (
	asEver  = `NULL::text AS "claims", NULL::integer AS "room", NULL::integer AS "accessTtl", NULL::integer AS "refreshTtl"`
	forPair = `$15::text AS "claims", $16::integer AS "room", $17::integer AS "accessTtl", $18::integer AS "refreshTtl"`
)

// rotatable is true in case Rotated. It need not look at the session's row,
// because Invalidate changes this one too, and it has the session's era.
const rotatable = `t."id" = a."id" AND t."session" = a."session" AND t."refreshToken" IS NULL AND t."generation" = a."generation"
  AND (t."issuedAt" IS NULL OR now() - t."issuedAt" >= $4::integer * COALESCE(t."grace", $14))
  AND t."revokedAt" IS NULL AND t."expiresAt" > now() AND COALESCE(t."era", 0)` + era.Continues + `
  AND (t."dpopJkt" IS NULL OR t."dpopJkt" = a."jkt")
  AND (a."client" IS NULL OR a."client" = COALESCE(t."client", $12))
  AND (a."claims" IS NULL OR (` + hasContext + `) IS NOT TRUE OR octet_length(split_part(t."claims", E'\n', 1)) <= a."room")
  AND (a."jkt" IS NOT NULL OR NOT $11::jsonb -> 'provers' ? COALESCE(t."client", $12))`

// rotatedColumns are null for the first client, whose values are known.
const rotatedColumns = `a."n", t."issuedAt", t."expiresAt", t."accessGeneration", t."accessExpiresAt", COALESCE(t."claims", '') AS "claims",
  CASE WHEN t."client" = $12 THEN '' ELSE t."client" END AS "client", CASE WHEN t."client" = $12 THEN '' ELSE COALESCE(t."audience", '') END AS "audience", COALESCE(t."era", 0) AS "era", ` + worked

// rotateQuery changes one row, which it finds by its primary key, and no index but
// that of expiresOn, once a day.
const (
	rotateQuery        = rotateStart + asEver + rotateEnd
	rotateForPairQuery = rotateStart + forPair + rotateEnd

	rotateStart = `
UPDATE "sessionStoreToken" t SET` + rotated + `
FROM (SELECT $1::uuid AS "session", $2::uuid AS "id", $3::bigint AS "generation", $8::text AS "userAgent", $9::text AS "ip", $10::text AS "jkt", $13::text AS "client", 1::bigint AS "n", `
	rotateEnd = `) a
WHERE ` + rotatable + `
RETURNING ` + rotatedColumns
)

// rotateTogetherQuery is the same for several pairs. A row that another transaction
// has locked is left out, as if it were not rotatable: no call waits for another's
// session, and locks need no order. If two present the same token, n says which one
// is answered; the other finds it rotated. The array of ids comes from a subquery, so
// that the planner treats every length alike and need not plan again; the others are
// read by its indices, which costs less than to unnest each.
const (
	rotateTogetherQuery = rotateTogetherStart + asEver + rotateFree +
		`(SELECT f."n", f."id", f."userAgent", f."ip", f."jkt", ` + asEver + ` FROM "free" f)` + rotateTogetherEnd
	rotateTogetherForPairQuery = rotateTogetherStart + forPairs + rotateFree + `"free"` + rotateTogetherEnd

	forPairs = `($15::text[])["n"] AS "claims", ($16::integer[])["n"] AS "room", ($17::integer[])["n"] AS "accessTtl", ($18::integer[])["n"] AS "refreshTtl"`

	rotateTogetherStart = `
WITH "free" AS (
  SELECT a.* FROM (
    SELECT "n", "id", ($1::uuid[])["n"] AS "session", ($3::bigint[])["n"] AS "generation",
      ($8::text[])["n"] AS "userAgent", ($9::text[])["n"] AS "ip", ($10::text[])["n"] AS "jkt", ($13::text[])["n"] AS "client", `
	rotateFree = `
    FROM unnest((SELECT $2::uuid[])) WITH ORDINALITY AS u("id", "n")
  ) a
  JOIN "sessionStoreToken" t ON ` + rotatable + `
  FOR NO KEY UPDATE OF t SKIP LOCKED
)
UPDATE "sessionStoreToken" t SET` + rotated + `
FROM `
	rotateTogetherEnd = ` a
WHERE t."id" = a."id"
RETURNING ` + rotatedColumns
)

// rotation is a presented refresh token, and the pair that it gets in case
// Rotated.
type rotation struct {
	presented
	// The claims about the row, as arguments.
	session, id pgtype.UUID
	generation  pgtype.Int8
	args        rotationArgs // for one alone

	rotated bool
	next    refresh.Pair
}

func newRotation(t presented) rotation {
	return rotation{presented: t, session: pgvalue.UUID(t.claims.SessionID), id: pgvalue.UUID(t.claims.TokenID), generation: pgvalue.Integer(t.claims.Generation)}
}

var (
	rotates                = newChanging(rotateQuery)
	rotatesTogether        = newChanging(rotateTogetherQuery)
	rotatesForPair         = newChanging(rotateForPairQuery)
	rotatesTogetherForPair = newChanging(rotateTogetherForPairQuery)
)

func (s statements) rotate(ctx context.Context, all []*groupcommit.Call[rotation]) error {
	read := func(rows pgx.Rows) error { return s.readRotated(rows, all) }
	if len(all) == 1 {
		r := &all[0].Of
		r.args = s.rotationArgs(&r.session, &r.id, &r.generation,
			pgvalue.ThereOrNull(&r.client.UserAgent), pgvalue.ThereOrNull(&r.client.IP), pgvalue.ThereOrNull(&r.proven), pgvalue.ThereOrNull(&r.clientID))
		if !s.forPair {
			return s.change(ctx, read, rotates, r.args[:]...)
		}
		return s.change(ctx, read, rotatesForPair, append(r.args[:], pgvalue.ThereOrNull(&r.wanted.claims), r.wanted.room(),
			pgvalue.OrNull(pgvalue.Seconds(r.wanted.lifetimes.AccessToken)), pgvalue.OrNull(pgvalue.Seconds(r.wanted.lifetimes.RefreshToken)))...)
	}
	args := s.rotationArgs(
		column(all, func(r *rotation) pgtype.UUID { return r.session }),
		column(all, func(r *rotation) pgtype.UUID { return r.id }),
		column(all, func(r *rotation) pgtype.Int8 { return r.generation }),
		column(all, func(r *rotation) pgtype.Text { return pgvalue.Text(r.client.UserAgent) }),
		column(all, func(r *rotation) pgtype.Text { return pgvalue.Text(r.client.IP) }),
		column(all, func(r *rotation) pgtype.Text { return pgvalue.Text(r.proven) }),
		column(all, func(r *rotation) pgtype.Text { return pgvalue.Text(r.clientID) }))
	if !s.forPair {
		return s.change(ctx, read, rotatesTogether, args[:]...)
	}
	return s.change(ctx, read, rotatesTogetherForPair, append(args[:],
		column(all, func(r *rotation) pgtype.Text { return pgvalue.Text(r.wanted.claims) }),
		column(all, func(r *rotation) pgtype.Int8 { return pgvalue.Integer(r.wanted.room()) }),
		column(all, func(r *rotation) pgtype.Int8 {
			return pgvalue.IntegerOrNull(pgvalue.Seconds(r.wanted.lifetimes.AccessToken))
		}),
		column(all, func(r *rotation) pgtype.Int8 {
			return pgvalue.IntegerOrNull(pgvalue.Seconds(r.wanted.lifetimes.RefreshToken))
		}))...)
}

// rotationArgs are the arguments of every such statement: a single value of each, or
// an array.
type rotationArgs [14]any

func (s statements) rotationArgs(sessions, ids, generations, agents, ips, proven, clients any) rotationArgs {
	return rotationArgs{
		sessions, ids, generations, refresh.FreshGraces, refresh.SettleGraces,
		s.accessTTL, s.refreshTTL, agents, ips, proven, s.clients, s.firstClient, clients,
		s.grace,
	}
}

// rotationRow is where rows of rotatedColumns are read to. Each connection has one.
type rotationRow struct {
	n      int64
	pair   refresh.Pair
	worked int64
	row    pgvalue.Row
}

func newRotationRow() *rotationRow {
	r := new(rotationRow)
	p := &r.pair
	r.row = pgvalue.NewRow([]any{
		&r.n, pgvalue.TimeTo(&p.IssuedAt), pgvalue.TimeTo(&p.ExpiresAt), &p.AccessGeneration, pgvalue.TimeTo(&p.AccessExpiresAt),
		&p.Claims, &p.Client, &p.Audience, &p.Era, &r.worked,
	})
	return r
}

// readRotated notes the pairs that were rotated. If the statement failed, none was:
// the rows hold its error, including that of its commit.
func (s statements) readRotated(rows pgx.Rows, all []*groupcommit.Call[rotation]) error {
	defer rows.Close()
	for _, c := range all {
		c.Of.rotated = false
	}
	for rows.Next() {
		row := pgvalue.Kept(rows, "latchkey rotation", newRotationRow)
		err := row.row.Read(rows)
		p := row.pair
		row.pair = refresh.Pair{} // nobody's is kept
		if err != nil {
			return err
		}
		c := all[row.n-1]
		r := &c.Of
		p.SessionID, p.Subject = r.claims.SessionID, r.claims.Subject
		p.ID, p.Generation, p.CreatedAt = r.claims.TokenID, r.claims.Generation+1, p.IssuedAt
		p.BoundTo = r.proven
		if p.Client == "" {
			p.Client, p.Audience = s.rules.FirstClient, s.rules.Audiences[s.rules.FirstClient]
		}
		r.next, r.rotated = p, true
		noteWorked(c, row.worked)
	}
	return rows.Err()
}
