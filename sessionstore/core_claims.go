package sessionstore

import (
	"time"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// SetClaims is [Store.SetClaims] for the stored pair. With an error nothing may be
// changed.
func (c *Core) SetClaims(p Pair, checksum string, claims []byte, options SetClaimsOptions, now time.Time) (Pair, string, error) {
	form, err := ownClaims(claims)
	if err != nil {
		return p, "", err
	}
	if !isLive(p, now) {
		return p, "", ErrEnded
	}
	context, current, err := tokens.SplitClaims(p.Claims)
	if err != nil {
		return p, "", err
	}
	if sum := claimsSum(current); sum != checksum {
		return p, "", &ConflictError{Checksum: sum}
	}
	joined, err := tokens.JoinClaims(context, form)
	if err != nil {
		return p, "", claimsError(err)
	}
	p.Claims = joined
	if options.Supersede {
		p.AccessGeneration += refresh.SupersededBy
	}
	return p, claimsSum(form), nil
}

// Claims are the pair's own, nil for none, and their checksum: see [Store.LoadClaims].
func (c *Core) Claims(p Pair) (claims []byte, checksum string, err error) {
	_, form, err := tokens.SplitClaims(p.Claims)
	if err != nil {
		return nil, "", err
	}
	if form != "" {
		claims = []byte(form)
	}
	return claims, claimsSum(form), nil
}
