package sessionstore

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
)

// NoIdleTimeout is the refresh token's lifetime in a session that ends only at its
// absolute end, which it must have. Its ExpiresAt is that end.
const NoIdleTimeout = MaxLifetime

// lifetime is one of the three, by its name in the HTTP API.
type lifetime struct {
	field string
	of    func(Lifetimes) time.Duration
}

var eachLifetime = [...]lifetime{
	{"access_token_ttl", func(l Lifetimes) time.Duration { return l.AccessToken }},
	{"refresh_token_ttl", func(l Lifetimes) time.Duration { return l.RefreshToken }},
	{"session_ttl", func(l Lifetimes) time.Duration { return l.Session }},
}

// lacksLifetime reports whether one of the three is left to the defaults.
func lacksLifetime(l Lifetimes) bool {
	return slices.ContainsFunc(eachLifetime[:], func(each lifetime) bool { return each.of(l) == 0 })
}

// check checks the bounds themselves.
func (b Bounds) check() error {
	for _, each := range eachLifetime {
		lo, hi := each.of(b.Min), each.of(b.Max)
		if !isLifetime(lo) || !isLifetime(hi) || hi != 0 && hi < lo {
			return fmt.Errorf("sessionstore: the bounds of %s, %v and %v, must be whole seconds up to %v, the least first", each.field, lo, hi, MaxLifetime)
		}
	}
	if b.Max.AccessToken > MaxAccessTokenTTL {
		return fmt.Errorf("sessionstore: the maximum of access_token_ttl, %v, must be %v or less", b.Max.AccessToken, MaxAccessTokenTTL)
	}
	return nil
}

func between(lo, hi time.Duration) string {
	if hi == 0 {
		return fmt.Sprintf("%v or more", lo)
	}
	return fmt.Sprintf("between %v and %v", cmp.Or(lo, time.Second), hi)
}

// isLifetime reports whether a column can hold it.
func isLifetime(d time.Duration) bool {
	return d >= 0 && d <= MaxLifetime && d%time.Second == 0
}

// checkLifetimes returns an [ArgumentError] for lifetimes that are out of bounds, or
// contradict each other.
func (c Config) checkLifetimes(l Lifetimes) error {
	for _, each := range eachLifetime {
		ttl, hi := each.of(l), each.of(c.Bounds.Max)
		if ttl == 0 && hi != 0 { // the session's: the others have a default
			return argumentError(each.field, "missing: it must be %s", between(each.of(c.Bounds.Min), hi))
		}
		if err := c.checkLifetime(each, ttl); err != nil {
			return err
		}
	}
	if l.RefreshToken <= l.AccessToken {
		return argumentError("refresh_token_ttl", "%v is too short: the refresh token must outlive the access token's %v", l.RefreshToken, l.AccessToken)
	}
	if l.RefreshToken == NoIdleTimeout && l.Session == 0 {
		return errEndless
	}
	return nil
}

// lifetimesOf returns a new session's own lifetimes, or an [ArgumentError]. If params alone
// would be valid, LifetimesFor is wrong, and no argument is.
func (c Config) lifetimesOf(params CreateParams, clients Lifetimes) (Lifetimes, error) {
	given := params.Lifetimes.Or(clients)
	if c.LifetimesFor == nil {
		return c.ownLifetimes(params, given)
	}
	own, err := c.ownLifetimes(params, params.Lifetimes.Or(c.LifetimesFor(params)).Or(clients))
	if err == nil {
		return own, nil
	}
	if _, without := c.ownLifetimes(params, given); without != nil {
		return own, without
	}
	return own, fmt.Errorf("sessionstore: what LifetimesFor returned cannot be used: %v", err) //nolint:errorlint // not the caller's argument
}

// ownLifetimes checks the lifetimes that a session should have instead of the defaults.
func (c Config) ownLifetimes(params CreateParams, own Lifetimes) (Lifetimes, error) {
	if !params.NoRefresh {
		return own, c.checkLifetimes(own.Or(c.Lifetimes))
	}
	if params.Lifetimes.RefreshToken != 0 {
		return own, argumentError("refresh_token_ttl", "not allowed: a session without a refresh token ends with its access token")
	}
	// See refresh.Pair.HasRefreshToken.
	own.AccessToken = own.Or(c.Lifetimes).AccessToken
	own.RefreshToken = own.AccessToken
	for _, each := range eachLifetime {
		if each.field == "refresh_token_ttl" {
			continue
		}
		if err := c.checkLifetime(each, each.of(own.Or(c.Lifetimes))); err != nil {
			return own, err
		}
	}
	return own, nil
}

var errEndless = argumentError("session_ttl", "missing: a session without an idle timeout must have an end")

// checkLifetime checks one of them on its own; zero is none.
func (c Config) checkLifetime(each lifetime, ttl time.Duration) error {
	if ttl == 0 {
		return nil
	}
	lo, hi := each.of(c.Bounds.Min), each.of(c.Bounds.Max)
	if each.field == "access_token_ttl" {
		hi = cmp.Or(hi, MaxAccessTokenTTL)
	}
	if !isLifetime(ttl) {
		return argumentError(each.field, "no lifetime: it must be a number of whole seconds %s", between(lo, cmp.Or(hi, MaxLifetime)))
	}
	if each.field == "access_token_ttl" {
		if ttl <= refresh.FreshGraces*c.Grace {
			// A pair is handed out again for as long as it is fresh: its access
			// token must still be good then.
			return argumentError(each.field, "%v is too short: it must be longer than %d times the refresh grace of %v", ttl, refresh.FreshGraces, c.Grace)
		}
		if ttl > MaxAccessTokenTTL {
			return argumentError(each.field, "%v is too long: an access token lives for %v at most", ttl, MaxAccessTokenTTL)
		}
	}
	switch {
	case ttl >= lo && (hi == 0 || ttl <= hi):
		return nil
	case ttl == NoIdleTimeout && each.field == "refresh_token_ttl":
		return argumentError(each.field, "an idle timeout is needed: it must be %s", between(lo, hi))
	default:
		return argumentError(each.field, "%v is out of bounds: it must be %s", ttl, between(lo, hi))
	}
}
