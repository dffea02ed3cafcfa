package sessionstore

import (
	"context"
	"time"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// CheckAccess is the verdict about an access token whose claims have been verified: see
// [Store.GetWith]. isFirstUse means that the pair's ConfirmedAt must be set, unless the pair
// has been replaced by then.
func (c *Core) CheckAccess(claims tokens.Claims, p Pair, now time.Time, options GetOptions) (isFirstUse bool, err error) {
	r := reading{
		current:          accessVersion{p.AccessGeneration, p.MintedAt(), p.AccessExpiresAt},
		countsAsFirstUse: p.ConfirmedAt.IsZero() && !now.Before(p.SettledAt),
		isLive:           isLive(p, now),
		isOfThisEra:      true,
		hasEnded:         p.Revoked || !p.End.IsZero() && !now.Before(p.End),
		graceMicros:      p.Grace.Microseconds(),
		now:              now, audience: p.Audience,
	}
	if err := c.core.checkAccess(claims, &r, options); err != nil {
		return false, err
	}
	return r.isFirstUse(claims, options), nil
}

// IsLive reports whether the pair's session has not ended.
func (c *Core) IsLive(p Pair, now time.Time) bool { return isLive(p, now) }

func isLive(p Pair, now time.Time) bool { return !p.Revoked && now.Before(p.ExpiresAt) }

// Presented is a verified refresh token, and what came with it: see [Core.Present].
type Presented struct{ t presented }

// Claims are the token's.
func (p Presented) Claims() tokens.Claims { return p.t.claims }

// Client is what to store about the client that refreshes, in [Session].LastClient.
func (p Presented) Client() Client { return p.t.client }

// Present verifies a refresh token, and what came with it: see [Store.RefreshTokensWith].
func (c *Core) Present(ctx context.Context, refreshToken string, options RefreshOptions) (Presented, error) {
	if options.KeyThumbprint != "" && !tokens.IsThumbprint(options.KeyThumbprint) {
		return Presented{}, argumentError("dpop_jkt", "not a SHA-256 thumbprint in base64url")
	}
	claims, err := c.core.tokens.verify(refreshToken, tokens.RefreshToken)
	if err != nil {
		return Presented{}, err
	}
	client := options.Client.clean()
	t := presented{
		claims: claims, client: Client{UserAgent: client.UserAgent, IP: client.IP}, proven: options.KeyThumbprint,
		scope: askedScope(options.Scope), clientID: options.ClientID, resources: options.Resources,
	}
	t.wanted, err = c.core.wantedOf(ctx, t)
	return Presented{t}, err
}

// Exchange decides about a refresh token. The decision's Next must be stored before the tokens
// are handed out; if the error is a [ReuseError], the session must be revoked. With
// any other error nothing may be changed.
func (c *Core) Exchange(p Pair, presented Presented, now time.Time) (Decision, error) {
	t := presented.t
	if c.core.isOthers(p, t.clientID) {
		return Decision{}, ErrOtherClient
	}
	d, err := c.core.decide(p, t, now)
	if err != nil {
		return Decision{}, err
	}
	if err := c.core.lacks(&d, &t); err != nil {
		return Decision{}, err
	}
	if d.Outcome == Refused && !d.Unproven && !t.claims.ExpiresAt.IsZero() && !now.Before(t.claims.ExpiresAt) {
		return d, errExpired
	}
	return d, c.core.refusal(&d, t.claims, nil)
}

// Cause is the cause that a caller gave to [Store.Invalidate], or [ReasonBackend].
func (c *Core) Cause(given []Cause) (Cause, error) { return causeOf(given, ReasonBackend) }
