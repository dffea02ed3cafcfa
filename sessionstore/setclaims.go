package sessionstore

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/canonical"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// SetClaimsOptions say how claims take effect.
type SetClaimsOptions struct {
	// Supersede makes strict checks refuse the session's earlier access tokens as soon
	// as this returns, and verifiers within their bound. Clients refresh, as
	// they do when an access token has expired: refresh tokens stay good.
	Supersede bool
}

// Like a revocation, this is two statements of one transaction and one round trip.
// The first locks the session. The second then sees every change to the session,
// including a pair that was made meanwhile for a token of Compas.
const (
	lockSessionQuery = `SELECT FROM "sessionStore" WHERE "id" = $1 FOR NO KEY UPDATE`

	// The CASE keeps PostgreSQL from reading all of an index of Compas' access tokens.
	//
	// A line break separates the context, if there is one, from the session's own claims: see
	// [tokens.JoinClaims]. If setClaimsQuery supersedes, "supersededAt" is not before any access token was
	// issued, even if the clock was ahead then: see revocationTime.
	setClaimsQuery = `
WITH "current" AS MATERIALIZED (
  SELECT s."id", s."subject", r."client", sha256(convert_to(p."own", 'UTF8')) AS "sum", ` + live + ` AS "live", p."form", octet_length(p."form") <= $6 AS "fits", now() AS "now", CASE WHEN $4::boolean THEN pg_current_xact_id() END AS "xid"
  FROM "sessionStore" s
  JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL AND r."accessExpiresAt" IS NOT NULL
  CROSS JOIN LATERAL (
    SELECT COALESCE(r."claims", '{}') AS "own", $3::text AS "form" WHERE r."claims" IS NULL OR strpos(r."claims", E'\n') = 0
    UNION ALL
    SELECT '{' || ltrim(split_part(r."claims", E'\n', 2), ','), split_part(r."claims", E'\n', 1) || E'\n' || COALESCE(',' || substr($3, 2), '}')
    WHERE strpos(r."claims", E'\n') > 0
  ) p
  WHERE s."id" = $1
  ` + best + `
), "changed" AS (
  UPDATE "sessionStoreToken" r SET "claims" = c."form",
    "accessGeneration" = CASE WHEN $4::boolean THEN r."accessGeneration" + $5::bigint ELSE r."accessGeneration" END,
    "supersededBelow" = CASE WHEN $4 THEN r."accessGeneration" + $5 ELSE r."supersededBelow" END,
    "supersededAt" = CASE WHEN $4 THEN GREATEST(c."now", r."createdAt", r."issuedAt") ELSE r."supersededAt" END,
    "supersededXid" = CASE WHEN $4 THEN c."xid" ELSE r."supersededXid" END
  FROM "current" c
  WHERE c."live" AND c."sum" = $2::bytea AND c."fits" IS NOT FALSE AND r."session" = c."id" AND r."refreshToken" IS NULL AND r."accessExpiresAt" IS NOT NULL AND r."revokedAt" IS NULL
    AND ($4 OR r."claims" IS DISTINCT FROM c."form")
  RETURNING r."id"
), "compas" AS (
  UPDATE "sessionStoreToken" a SET "revokedAt" = now()
  FROM "current" c
  WHERE $4 AND c."live" AND c."sum" = $2 AND c."fits" IS NOT FALSE AND a."session" = c."id" AND CASE WHEN a."refreshToken" IS NOT NULL THEN a."revokedAt" IS NULL END
), "told" AS MATERIALIZED (
  SELECT ` + notify + ` AS "is" FROM "changed" WHERE $4 LIMIT 1
)
SELECT "subject", "client", "sum", "live", "fits" IS NOT FALSE, (SELECT count(*) FROM "changed"), (SELECT count(*) FROM "told")
FROM "current"`
)

// SetClaims replaces all of the session's own claims, but not how its user authenticated or who acts for them, and returns their checksum:
// empty claims, or {}, mean none. It takes effect with the next access token, which every refresh gives, unless the options ask for an earlier
// effect.
//
// The checksum is that of [Store.LoadClaims]: if the stored claims are no longer those,
// the error is a [ConflictError], and nothing is written. The data and its checksum are
// not affected. Other errors are [ArgumentError], [ErrNotFound] and [ErrEnded]. A
// session of Compas is not found until it has been refreshed.
func (s *Store) SetClaims(ctx context.Context, id uuid.UUID, checksum string, claims []byte, options SetClaimsOptions) (_ string, err error) {
	result := Result{Operation: OperationSetClaims}
	ctx = s.begin(ctx, OperationSetClaims)
	defer func() {
		result.Err = err
		s.end(ctx, result)
	}()

	form, err := ownClaims(claims)
	if err != nil {
		return "", err
	}
	read, err := canonical.SumEncoding.Strict().DecodeString(checksum)
	if err != nil {
		read = []byte{} // not one of our checksums, and so not that of any claims
	}
	of := owner{client: clientScanner{first: s.rules.FirstClient}}
	var current []byte
	var isLive, fits bool
	var changed, told int64
	batch := &pgx.Batch{}
	batch.Queue(lockSessionQuery, pgvalue.UUID(id))
	batch.Queue(setClaimsQuery, pgvalue.UUID(id), read, pgvalue.OrNull(form), options.Supersede, refresh.SupersededBy, tokens.MaxCustomBytes).QueryRow(func(row pgx.Row) error {
		return row.Scan(&of.subject, &of.client, &current, &isLive, &fits, &changed, &told)
	})
	switch err := s.pool.SendBatch(ctx, batch).Close(); {
	case pgvalue.IsNoRows(err):
		return "", ErrNotFound
	case err != nil:
		return "", sessionerr.Unavailable("set a session's claims", err)
	case !isLive:
		return "", ErrEnded
	case string(current) != string(read):
		return "", &ConflictError{Checksum: canonical.SumEncoding.EncodeToString(current)}
	}
	if !fits {
		return "", argumentError("claims", "longer than %d bytes together with acr, act, amr, auth_time and latchkey_cookie", tokens.MaxCustomBytes)
	}
	if changed > 0 {
		result.Changed, result.Subject, result.ClientID = id, of.subject.String, of.client.id
	}
	return claimsSum(form), nil
}

const loadClaimsQuery = `
SELECT COALESCE(r."claims", '')
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL AND r."accessExpiresAt" IS NOT NULL
WHERE s."id" = $1 AND ` + primary.Only + `
` + best

// LoadClaims returns the session's own claims, nil for none, and their checksum, which
// [Store.SetClaims] needs. Those of an ended session are available until it is cleaned
// up. It fails with [ErrNotFound].
func (s *Store) LoadClaims(ctx context.Context, id uuid.UUID) (claims []byte, checksum string, err error) {
	ctx = s.begin(ctx, OperationLoad)
	defer func() { s.end(ctx, Result{Operation: OperationLoad, Err: err}) }()

	var form string
	switch err := s.pool.QueryRow(ctx, loadClaimsQuery, pgvalue.UUID(id)).Scan(&form); {
	case pgvalue.IsNoRows(err):
		return nil, "", ErrNotFound
	case err != nil:
		return nil, "", sessionerr.Unavailable("load a session's claims", err)
	}
	if _, form, err = tokens.SplitClaims(form); err != nil {
		return nil, "", sessionerr.Unavailable("load a session's claims", err)
	}
	if form != "" {
		claims = []byte(form)
	}
	return claims, claimsSum(form), nil
}
