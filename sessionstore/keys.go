package sessionstore

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"

	"github.com/latchkey-sessions/latchkey/internal/revocations"
	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// SetKeys replaces the keys that the store signs and verifies with, and those of
// its verifiers: see [Store.Verifier]. From then on a token signed by a key that
// the ring does not have is refused, even if it was verified before; a call that
// is already signing may still use the earlier key. It fails, and changes
// nothing, if no key of the ring can sign.
func (s *Store) SetKeys(keys *tokens.KeyRing) error { return s.tokens.setKeys(keys) }

// VerifyRefreshToken returns the claims of a refresh token without a query, and so
// without knowing whether the token has expired: only the database's
// clock can. The error is a [tokens.ErrInvalid], or [ErrUnavailable].
func (s *Store) VerifyRefreshToken(refreshToken string) (tokens.Claims, error) {
	return s.tokens.verify(refreshToken, tokens.RefreshToken)
}

// VerifyToken is [Store.VerifyRefreshToken] for a token of either type. One that has
// expired by [Store.Now] is a [tokens.ErrExpired], which is a guess. For one that
// Compas issued it returns the type, the row and the expiry: such a token does not
// name its session.
func (s *Store) VerifyToken(token string) (tokens.Claims, error) {
	if s.TakesFromCompas(token) {
		return s.compas.VerifyAny(token)
	}
	claims, err := s.tokens.verifier.VerifyAny(token)
	return claims, knownKeys(err)
}

// SignIntrospection returns the signed form of an introspection response (RFC
// 9701 §5) for a caller: see [tokens.Signer.SignIntrospection]. It sends no
// query. The error is [tokens.ErrNotPublic] if the signing key
// is an HMAC key.
func (s *Store) SignIntrospection(caller string, answer []byte) ([]byte, error) {
	return s.tokens.signer.Load().SignIntrospection(caller, answer)
}

// SignSecurityEvent returns the Security Event Token (RFC 8417): see
// [tokens.Signer.SignSecurityEvent]. It sends no query. The error is
// [tokens.ErrNotPublic] if the signing key is an HMAC key.
func (s *Store) SignSecurityEvent(e tokens.SecurityEvent) ([]byte, error) {
	return s.tokens.signer.Load().SignSecurityEvent(e)
}

// Verifier returns a verifier that accepts the store's access tokens without
// a query for each, and follows its revocations: see package
// verifier. Its Run must run. The verifier and the store share the memory of
// verified tokens.
//
// If cfg has no Strict, the verifier asks the database whether a token's session was
// revoked, and nothing else, so that every verifier gives the same answer.
//
// If a failover or a restore loses revocations that the verifier knew of, it revokes
// those sessions again.
//
// It also learns the database's time: see [Store.Now]. Of several verifiers the
// last one counts.
//
// If sessions are spread over several databases, this is the store of the first, and the
// further ones are those of the others, each with its own [Config].Shard.
func (s *Store) Verifier(cfg verifier.Config, further ...*Store) (*verifier.Verifier, error) {
	source := s.revocationSource(cfg.Logger)
	asks := source.Strict
	if len(further) > 0 {
		sources := map[int]*revocations.Source{s.cfg.Shard: source}
		cfg.Shards = make(map[int]verifier.Source, len(further))
		for _, f := range further {
			if sources[f.cfg.Shard] != nil {
				return nil, fmt.Errorf("sessionstore: two stores are of shard %d", f.cfg.Shard)
			}
			sources[f.cfg.Shard] = f.revocationSource(cfg.Logger)
			cfg.Shards[f.cfg.Shard] = sources[f.cfg.Shard]
		}
		asks = func(ctx context.Context, token string, claims tokens.Claims) error {
			if source := sources[sessionid.Shard(claims.SessionID)]; source != nil {
				return source.Strict(ctx, token, claims)
			}
			return verifier.ErrUnavailable // another replica may know it
		}
	}
	if cfg.Strict == nil {
		cfg.Strict = asks
	}
	v, err := verifier.New(s.tokens.verifier, source, cfg)
	if err == nil {
		s.clock.verifier.Store(v)
	}
	return v, err
}

func (s *Store) revocationSource(logger *slog.Logger) *revocations.Source {
	return &revocations.Source{
		Pool: s.pool.Pool, Direct: cmp.Or(s.cfg.Direct, s.pool.Pool),
		MaxAccessTokenTTL: MaxAccessTokenTTL,
		RevokeAnew:        revokeAnew,
		SignOutAnew:       signOutAnew,
		Logger:            cmp.Or(logger, slog.Default()),
	}
}
