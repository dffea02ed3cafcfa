package sessionstore

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// signing makes the store's tokens, and verifies them.
type signing struct {
	cfg      tokens.Config
	signer   atomic.Pointer[tokens.Signer]
	verifier *tokens.Verifier
}

func newSigning(keys *tokens.KeyRing, cfg tokens.Config) (s *signing, err error) {
	s = &signing{cfg: cfg}
	if s.verifier, err = tokens.NewVerifier(keys, cfg); err != nil {
		return nil, err
	}
	return s, s.setKeys(keys)
}

// setKeys changes nothing if no key of the ring can sign.
func (s *signing) setKeys(keys *tokens.KeyRing) error {
	signer, err := tokens.NewSigner(keys, s.cfg)
	if err != nil {
		return err
	}
	// The verifier comes first: nothing must be signed that it would not accept.
	s.verifier.SetRing(keys)
	s.signer.Store(signer)
	return nil
}

// sign makes the pair's two JWTs. Their claims come from the row alone, so that
// the same row gives the same tokens. The refresh token has the subject, so
// that no refresh has to look it up: it never changes.
func (s *signing) sign(p refresh.Pair, answeredAt time.Time) (TokenPair, error) {
	signer := s.signer.Load() // one for both tokens
	access := tokens.Claims{
		Type: tokens.AccessToken, Subject: p.Subject, SessionID: p.SessionID,
		TokenID: p.ID, Generation: p.AccessGeneration,
		IssuedAt: p.MintedAt(), ExpiresAt: p.AccessExpiresAt, KeyThumbprint: p.BoundTo, ClientID: p.Client, Audience: p.Audience, Era: p.Era, Custom: p.Claims,
	}
	accessToken, err := signer.Sign(access)
	if err != nil {
		return TokenPair{}, err
	}
	pair := TokenPair{
		AccessToken: accessToken, AccessTokenExpiresAt: p.AccessExpiresAt,
		AnsweredAt: answeredAt, KeyThumbprint: p.BoundTo, Scope: access.Scope(),
	}
	if !p.HasRefreshToken() {
		return pair, nil
	}
	pair.RefreshTokenExpiresAt = p.ExpiresAt
	pair.RefreshToken, err = signer.Sign(tokens.Claims{
		Type: tokens.RefreshToken, Subject: p.Subject, SessionID: p.SessionID,
		TokenID: p.ID, Generation: p.Generation,
		IssuedAt: p.CreatedAt, ExpiresAt: p.ExpiresAt, KeyThumbprint: p.BoundTo,
	})
	if err != nil {
		return TokenPair{}, err
	}
	return pair, nil
}

// accepts reports whether an access token may be for this audience, whatever its row
// says.
func (s *signing) accepts(audience string) bool {
	return slices.ContainsFunc(tokens.Audiences(audience), func(name string) bool {
		return slices.Contains(tokens.Audiences(s.cfg.Audience), name) || slices.Contains(s.cfg.AcceptedAudiences, name)
	})
}

// verify checks neither the times nor the audience: the database's clock, which
// made the token, decides whether it has expired, and its row which audience it
// is for.
func (s *signing) verify(token string, want tokens.Type) (tokens.Claims, error) {
	claims, err := s.verifyAny(token)
	if err == nil && claims.Type != want {
		return tokens.Claims{}, tokens.ErrWrongType
	}
	return claims, err
}

// verifyAny is verify for a token of either type.
func (s *signing) verifyAny(token string) (tokens.Claims, error) {
	claims, err := s.verifier.VerifyIssued(token)
	return claims, knownKeys(err)
}

// knownKeys turns missing keys into an outage.
func knownKeys(err error) error {
	if errors.Is(err, tokens.ErrKeysUnavailable) {
		return sessionerr.Unavailable("verify a token", err)
	}
	return err
}
