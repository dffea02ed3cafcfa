package sessionstore

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// This file accepts the access tokens that Compas issued, by its rules;
// compas_refresh.go exchanges its refresh tokens.
//
// Compas inserts a refresh row and an access row, which points at it, at each
// refresh, and revokes the two before them. A session may have several live
// refresh rows: whoever presents one within its grace once more gets a pair of
// his own. Its rows have no "accessExpiresAt"; ours always do.

// compasSuccessors is the name space of [compasSuccessor].
var compasSuccessors = uuid.MustParse("5b0d4a35-5b38-4b5c-9d6d-6a0f3c3a1d0e")

// compasSuccessor is the id of the pair for which a refresh token of Compas is
// exchanged. It follows from the token's own, so that a token that comes back is
// known for as long as the pair lives, also when its row has been cleaned up.
func compasSuccessor(refreshRow uuid.UUID) uuid.UUID {
	return uuid.NewSHA1(compasSuccessors, refreshRow[:])
}

// Compas lets an access token's own time end it, not its row's. It revokes both
// rows at once; a refresh of ours revokes the refresh row alone.
const getCompasQuery = `
SELECT ` + sessionColumns + `, s."data", a."createdAt", s."revokedAt" IS NULL,
  (a."revokedAt" IS NULL OR a."revokedAt" > now()) AND (r."revokedAt" IS NULL OR r."revokedAt" > now())
FROM "sessionStoreToken" a
JOIN "sessionStoreToken" r ON r."id" = a."refreshToken"
JOIN "sessionStore" s ON s."id" = a."session"
WHERE a."id" = $1`

// getCompas is Get for what our own verifier has refused with the given error,
// which it returns unless the token is one of Compas.
func (s *Store) getCompas(ctx context.Context, accessToken string, refused error) (Session, tokens.Claims, error) {
	compas, err := s.verifyCompas(accessToken, tokens.AccessToken, refused)
	if err != nil {
		return Session{}, tokens.Claims{}, err
	}
	var data []byte
	var createdAt time.Time
	var isLive, isCurrent bool
	session, err := scanSession(s.pool.QueryRow(ctx, getCompasQuery, arg(compas.TokenID)), &data, &createdAt, &isLive, &isCurrent)
	switch {
	case isNoRows(err):
		return Session{}, tokens.Claims{}, ErrNotFound
	case err != nil:
		return Session{}, tokens.Claims{}, unavailable("get a session of Compas", err)
	case !isLive:
		return Session{}, tokens.Claims{}, ErrEnded
	case !isCurrent:
		return Session{}, tokens.Claims{}, ErrSuperseded
	}
	if session.Data, err = s.open(session.ID, data); err != nil {
		return Session{}, tokens.Claims{}, err
	}
	// It says nothing of these, and was good for whoever trusted its key.
	issuer := s.cfg.Tokens
	clientID := issuer.ClientID
	if clientID == "" {
		clientID = issuer.Audience
	}
	return session, tokens.Claims{
		Type: tokens.AccessToken, Issuer: issuer.Issuer, Audience: issuer.Audience, ClientID: clientID,
		Subject: session.Subject, SessionID: session.ID, TokenID: compas.TokenID,
		IssuedAt: createdAt.Truncate(time.Second).UTC(), ExpiresAt: compas.ExpiresAt,
	}, nil
}

// TakesFromCompas tells whether a token looks like one that Compas issued, and
// [Config.CompasSigningKey] is set. Only the store knows what such a token is
// worth: a verifier elsewhere refuses it.
func (s *Store) TakesFromCompas(token string) bool {
	return s.compas != nil && tokens.LooksLikeCompas(token)
}

// verifyCompas returns the given error for a token that is not one of Compas,
// and where none is taken.
func (s *Store) verifyCompas(token string, want tokens.Type, refused error) (tokens.CompasClaims, error) {
	if !s.TakesFromCompas(token) {
		return tokens.CompasClaims{}, refused
	}
	return s.compas.Verify(token, want)
}

const compasSessionQuery = `SELECT "session" FROM "sessionStoreToken" WHERE "id" IN ($1, $2) LIMIT 1`

// revokeCompasToken is RevokeToken for what our own verifier has refused.
func (s *Store) revokeCompasToken(ctx context.Context, token string) error {
	if s.compas == nil {
		return nil
	}
	claims, err := s.compas.VerifyAny(token)
	if err != nil {
		return nil //nolint:nilerr // RFC 7009 §2.2: a token that does not verify is no error.
	}
	var session [16]byte
	err = s.pool.QueryRow(ctx, compasSessionQuery, arg(claims.TokenID), arg(compasSuccessor(claims.TokenID))).Scan(&session)
	switch {
	case isNoRows(err):
		return nil
	case err != nil:
		return unavailable("revoke a token of Compas", err)
	}
	if err := s.Invalidate(ctx, session); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}
