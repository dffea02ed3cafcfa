package sessionstore

import (
	"context"
	"errors"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// ErrNotProven says that a refresh token is bound to a key that its bearer has
// not proven to have (RFC 9449 §5). Nothing has changed: whoever copied it can
// neither use it nor end its owner's session.
var ErrNotProven = errors.New("the refresh token is bound to another key")

// RefreshTokensWithProof is [Store.RefreshTokens] for a client that has proven
// to have the key with the given thumbprint (RFC 7638, in base64url), which the
// caller has checked: package dpop does. Every pair that it gets is bound to the
// key, and so is the session from then on: without a proof of that same key no
// refresh token of it is good for anything, in any case of the protocol, and the
// error is [ErrNotProven]. An empty thumbprint stands for no proof.
func (s *Store) RefreshTokensWithProof(ctx context.Context, refreshToken, thumbprint string, client Client) (refreshed Refreshed, err error) {
	if thumbprint != "" && !tokens.IsThumbprint(thumbprint) {
		return Refreshed{}, argumentError("dpop_jkt", "not a SHA-256 thumbprint in base64url")
	}
	ctx = s.begin(ctx, OperationRefresh)
	defer func() { s.end(ctx, Result{Operation: OperationRefresh, Err: err, Outcome: refreshed.Outcome}) }()
	return s.refresh(ctx, refreshToken, thumbprint, client)
}

// VerifyRefreshToken returns the claims of a refresh token without asking the
// database. The error is a [tokens.ErrInvalid], or [ErrUnavailable].
func (s *Store) VerifyRefreshToken(refreshToken string) (tokens.Claims, error) {
	return s.verify(refreshToken, tokens.RefreshToken)
}

// VerifyToken is [Store.VerifyRefreshToken] for a token of either type. Of one that
// Compas issued it tells the type, the row and the expiry: it does not name its
// session.
func (s *Store) VerifyToken(token string) (tokens.Claims, error) {
	claims, err := s.verifyAny(token)
	if err == nil || !s.TakesFromCompas(token) {
		return claims, err
	}
	compas, err := s.compas.VerifyAny(token)
	if err != nil {
		return tokens.Claims{}, err
	}
	return tokens.Claims{Type: compas.Type, TokenID: compas.TokenID, ExpiresAt: compas.ExpiresAt}, nil
}
