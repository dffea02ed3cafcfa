package sessionstore

import (
	"cmp"
	"time"
)

// Patch is [Store.Patch] for the stored pair and session. With an error nothing may be
// changed.
func (c *Core) Patch(p Pair, session Session, patch Patch, now time.Time) (Pair, Session, error) {
	own := patch.Lifetimes
	for _, each := range eachLifetime {
		if err := c.core.cfg.checkLifetime(each, each.of(own)); err != nil {
			return p, session, err
		}
	}
	if !isLive(p, now) {
		return p, session, ErrEnded
	}
	if own != (Lifetimes{}) {
		var err error
		if p, err = c.extend(p, own, now); err != nil {
			return p, session, err
		}
	}
	if patch.Label != nil {
		session.Client.Label = cutText(*patch.Label, maxLabelBytes)
	}
	return p, session, nil
}

// extend is what patchQuery does to lifetimes.
func (c *Core) extend(p Pair, own Lifetimes, now time.Time) (Pair, error) {
	ttl, end, next := own.Or(p.Lifetimes).Or(c.core.cfg.Lifetimes), p.End, p.ExpiresAt
	if own.Session != 0 {
		end = now.Add(own.Session)
	}
	countsAnew := own.RefreshToken != 0 || own.Session != 0
	if countsAnew {
		next = now.Add(ttl.RefreshToken)
		if !end.IsZero() {
			next = earlier(next, end)
		}
	}
	fits := p.HasRefreshToken() && ttl.AccessToken < ttl.RefreshToken && (ttl.RefreshToken < NoIdleTimeout || !end.IsZero())
	if !fits || countsAnew && next.Before(p.AccessExpiresAt) {
		return p, patched{
			access: int(ttl.AccessToken / time.Second), refresh: int(ttl.RefreshToken / time.Second), bounded: !end.IsZero(),
			accessExpiresAt: p.AccessExpiresAt, fixed: !p.HasRefreshToken(),
		}.refusal(own)
	}
	p.Lifetimes.AccessToken = cmp.Or(own.AccessToken, p.Lifetimes.AccessToken)
	p.Lifetimes.RefreshToken = cmp.Or(own.RefreshToken, p.Lifetimes.RefreshToken)
	p.End, p.ExpiresAt = end, next
	return p, nil
}
