// Package compas takes over sessions that Compas (@compas/store) began, by its rules.
// A store calls it if a token is not its own, or a pair does not exist.
//
// Compas inserts a refresh row and an access row, which points at it, at each
// refresh, and revokes the two before them. A session may have several live
// refresh rows: anyone who presents one again within its grace gets a separate pair.
// Its rows have no "accessExpiresAt"; ours always do.
package compas

import (
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/era"
	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Adapter accepts the tokens that Compas issued. It is safe for concurrent use.
type Adapter struct {
	pool     isolation.Pool
	verifier *tokens.CompasVerifier
	issuer   tokens.Config
	rules    refresh.Rules
}

// New returns an adapter for the tables of the Compas application that has the
// given signingKey. The pairs that it makes are the issuer's, and follow the rules.
func New(pool isolation.Pool, signingKey tokens.Secret, issuer tokens.Config, rules refresh.Rules) (*Adapter, error) {
	verifier, err := tokens.NewCompasVerifier(signingKey, issuer)
	if err != nil {
		return nil, err
	}
	return &Adapter{pool: pool, verifier: verifier, issuer: issuer, rules: rules}, nil
}

// Takes reports whether a token looks like one that Compas issued.
func (a *Adapter) Takes(token string) bool { return tokens.LooksLikeCompas(token) }

// Verify returns what a token of the expected type says, which does not name its
// session. It sends no query, and so cannot say whether the token has expired.
func (a *Adapter) Verify(token string, want tokens.Type) (tokens.Claims, error) {
	claims, err := a.VerifyIssued(token)
	if err == nil && claims.Type != want {
		return tokens.Claims{}, tokens.ErrWrongType
	}
	return claims, err
}

// VerifyIssued is [Adapter.Verify] for a token of either type.
func (a *Adapter) VerifyIssued(token string) (tokens.Claims, error) {
	return claimsOf(a.verifier.VerifyIssued(token))
}

// VerifyAny is [Adapter.VerifyIssued] for callers that do not query the database: a
// token that has expired by the local clock is a [tokens.ErrExpired].
func (a *Adapter) VerifyAny(token string) (tokens.Claims, error) {
	return claimsOf(a.verifier.VerifyAny(token))
}

// hasExpired reports whether a token's own time is over; some never expire.
func hasExpired(c tokens.Claims, now time.Time) bool {
	return !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt)
}

func claimsOf(c tokens.CompasClaims, err error) (tokens.Claims, error) {
	if err != nil {
		return tokens.Claims{}, err
	}
	return tokens.Claims{Type: c.Type, TokenID: c.TokenID, ExpiresAt: c.ExpiresAt}, nil
}

// sessionEra is the era in which a session s began: that of the earliest of its rows, since Compas makes
// more of them.
const sessionEra = `COALESCE((SELECT min(COALESCE(e."era", 0)) FROM "sessionStoreToken" e WHERE e."session" = s."id"), 0)`

// In Compas an access token expires by its own time, not its row's. Compas
// revokes both rows at once; our refresh revokes only the refresh row.
const getColumns = `, now(), a."createdAt", s."revokedAt" IS NULL AND ` + sessionEra + era.Continues + `,
  (a."revokedAt" IS NULL OR a."revokedAt" > now()) AND (r."revokedAt" IS NULL OR r."revokedAt" > now())
FROM "sessionStoreToken" a
JOIN "sessionStoreToken" r ON r."id" = a."refreshToken"
JOIN "sessionStore" s ON s."id" = a."session"
WHERE a."id" = $1 AND ` + primary.Only

// Get reads the session of an access token. The columns are the store's, of
// "sessionStore" as s and of its token row as r; scan reads them and what follows
// them. Subject and SessionID of the claims are the session's, for the store to add.
func (a *Adapter) Get(ctx context.Context, accessToken, columns string, scan func(row pgx.Row, more ...any) error) (tokens.Claims, error) {
	claims, err := a.Verify(accessToken, tokens.AccessToken)
	if err != nil {
		return tokens.Claims{}, err
	}
	var now time.Time
	var isLive, isCurrent bool
	err = scan(a.pool.QueryRow(ctx, `SELECT `+columns+getColumns, pgvalue.UUID(claims.TokenID)), &now, &claims.IssuedAt, &isLive, &isCurrent)
	switch {
	case pgvalue.IsNoRows(err):
		return tokens.Claims{}, sessionerr.ErrNotFound
	case err != nil:
		return tokens.Claims{}, sessionerr.Unavailable("get a session of Compas", err)
	case !isLive:
		return tokens.Claims{}, sessionerr.ErrEnded
	case !isCurrent:
		return tokens.Claims{}, sessionerr.ErrSuperseded
	case hasExpired(claims, now):
		return tokens.Claims{}, tokens.ErrExpired
	}
	claims.IssuedAt = claims.IssuedAt.Truncate(time.Second).UTC()
	// The token does not contain these: it was valid for anyone who trusted its key.
	claims.Issuer, claims.Audience = a.issuer.Issuer, a.issuer.Audience
	claims.ClientID = cmp.Or(a.issuer.ClientID, a.issuer.Audience)
	return claims, nil
}

// successors is the name space of [successor].
var successors = uuid.MustParse("5b0d4a35-5b38-4b5c-9d6d-6a0f3c3a1d0e")

// successor is the id of the pair for which a refresh token of Compas is exchanged.
// It is derived from the token's own id, so that a token presented again is
// recognized for as long as the pair lives, even after its row has been cleaned up.
func successor(refreshRow uuid.UUID) uuid.UUID { return uuid.NewSHA1(successors, refreshRow[:]) }

// The row may have been cleaned up. Its token is then at most as old as the session.
const findQuery = `
SELECT s."id", COALESCE(r."createdAt", s."createdAt")
FROM (SELECT "session" FROM "sessionStoreToken" WHERE "id" IN ($1, $2) LIMIT 1) t
JOIN "sessionStore" s ON s."id" = t."session"
LEFT JOIN "sessionStoreToken" r ON r."id" = $1
WHERE ` + primary.Only

// Find finds the session of a verified token, and turns a refresh token into what
// it would be if it were ours: generation 0 of the pair that follows its row,
// which is returned too.
func (a *Adapter) Find(ctx context.Context, claims tokens.Claims) (_ tokens.Claims, row uuid.UUID, err error) {
	row, claims.TokenID = claims.TokenID, successor(claims.TokenID)
	err = a.pool.QueryRow(ctx, findQuery, pgvalue.UUID(row), pgvalue.UUID(claims.TokenID)).
		Scan((*[16]byte)(&claims.SessionID), &claims.IssuedAt)
	switch {
	case pgvalue.IsNoRows(err):
		return tokens.Claims{}, uuid.Nil, sessionerr.ErrNotFound
	case err != nil:
		return tokens.Claims{}, uuid.Nil, sessionerr.Unavailable("find a session of Compas", err)
	}
	claims.IssuedAt = claims.IssuedAt.Truncate(time.Second)
	return claims, row, nil
}
