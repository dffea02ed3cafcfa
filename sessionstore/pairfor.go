package sessionstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// wantedOf calls the program. Whatever that returns says nothing about the token: the
// error is always [ErrUnavailable], with no other in its chain.
func (s *core) wantedOf(ctx context.Context, t presented) (wanted, error) {
	if s.cfg.PairFor == nil {
		return wanted{}, nil
	}
	params, err := s.cfg.PairFor(ctx, PairRequest{SessionID: t.claims.SessionID, Subject: t.claims.Subject, Client: t.client})
	if err != nil {
		return wanted{}, unusable(err)
	}
	w := wanted{lifetimes: Lifetimes{AccessToken: params.AccessTokenTTL, RefreshToken: params.RefreshTokenTTL}}
	if w.lifetimes != (Lifetimes{}) {
		if err := s.cfg.checkPairLifetimes(w.lifetimes); err != nil {
			return wanted{}, unusable(err)
		}
	}
	if len(params.Claims) > 0 {
		form, err := tokens.CustomClaims(params.Claims)
		if err != nil {
			return wanted{}, unusable(err)
		}
		w.claims = cmp.Or(form, "{}")
	}
	return w, nil
}

func unusable(err error) error {
	return fmt.Errorf("refresh: %w: PairFor: %v", ErrUnavailable, err) //nolint:errorlint // see wantedOf
}

// checkPairLifetimes checks those of a pair whose session's end is not known.
func (c Config) checkPairLifetimes(l Lifetimes) error {
	for _, each := range eachLifetime[:2] {
		if each.of(l) == 0 {
			return argumentError(each.field, "missing: a pair is given both lifetimes or neither")
		}
		if err := c.checkLifetime(each, each.of(l)); err != nil {
			return err
		}
	}
	switch {
	case l.RefreshToken == NoIdleTimeout:
		return errors.New("a pair must have an idle timeout")
	case l.RefreshToken <= l.AccessToken:
		return argumentError("refresh_token_ttl", "%v is too short: the refresh token must outlive the access token's %v", l.RefreshToken, l.AccessToken)
	}
	return nil
}

// room is how long a context may be next to the claims: see [tokens.JoinClaims].
func (w wanted) room() int { return tokens.MaxCustomBytes - len("\n") - len(w.claims) }

// of gives the pair the wanted properties.
func (w wanted) of(p refresh.Pair) (refresh.Pair, error) {
	p.Lifetimes = w.lifetimes.Or(p.Lifetimes)
	if w.claims == "" {
		return p, nil
	}
	context, _, err := tokens.SplitClaims(p.Claims)
	if err != nil {
		return p, unusable(err)
	}
	own := w.claims
	if own == "{}" {
		own = ""
	}
	if p.Claims, err = tokens.JoinClaims(context, own); err != nil {
		return p, unusable(err)
	}
	return p, nil
}
