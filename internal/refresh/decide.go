// Package refresh decides what happens when a refresh token is presented. It is
// pure: no clock, no database, no randomness. A store loads the pair under its
// locks, calls [Decide], writes what it says, commits, and only then answers.
//
// docs/refresh.md explains the rules. Read them in the order outcome.go, pair.go,
// decide.go; the model check with them tries everything that clients, network,
// thief, failover and clock can do.
package refresh

import (
	"cmp"
	"time"
)

// Decision is an outcome and the pair to store and return.
type Decision struct {
	Outcome Outcome
	Theft   Theft // only where Outcome is Stolen
	// Unproven says that only the proof is missing from a Refused token.
	Unproven bool
	Next     Pair
}

// Keys are the thumbprints that a presented refresh token comes with. Each may be empty.
type Keys struct {
	Token  string // of the key that the token is bound to
	Proven string // of the key of which its bearer has proven possession
}

// Presented is what a refresh token contains.
type Presented struct {
	Generation int64
	ExpiresAt  time.Time // as it was signed; zero for never
}

// Decide decides what happens to a pair for which a token is presented; now is
// the database's time, and no other clock is used, not even to decide whether the token has expired.
//
// A bound token is worthless without its key: no case of the protocol applies,
// and no theft is suspected, because a copy that a thief cannot use is not a reason for an alarm. With the key, all
// cases apply as usual.
//
// An unbound token of a session that has since been bound is different. Its client had no key
// when it got the token, so a thief may have bound the session, and the presenter may be the
// victim. If the victim were merely turned away, the thief would keep the session unnoticed.
func Decide(p Pair, k Keys, t Presented, now time.Time, r Rules) Decision {
	boundTo := cmp.Or(p.BoundTo, k.Token) // or the database has lost the commit that bound it
	if boundTo != "" && boundTo != k.Proven {
		ended := decide(p, t, now, r).Outcome == Refused
		if ended || k.Token != "" {
			return Decision{Outcome: Refused, Unproven: !ended, Next: p}
		}
		return Decision{Outcome: Stolen, Theft: Unproven, Next: p}
	}
	d := decide(p, t, now, r)
	if d.Outcome != Refused && d.Outcome != Stolen {
		d.Next.BoundTo = k.Proven // RFC 9449 §5: tokens issued for a proof are bound to its key
	}
	return d
}

// decide applies the refresh protocol to a pair whose key, if any, is proven.
//
// It relies on an honest client to keep its tokens in one store, where the last
// response written wins, and on a request and its response to take less than the
// grace together.
func decide(p Pair, t Presented, now time.Time, r Rules) Decision {
	stolen := func(t Theft) Decision { return Decision{Outcome: Stolen, Theft: t, Next: p} }

	hasPassed := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	behind := p.Generation - t.Generation
	// If the database has lost a token, the row's expiry is that of an older one, so
	// the token's own counts. For the newest token, the row's counts; an older
	// token's may be over although its successor's is not.
	if p.Revoked || hasPassed(p.End) || behind >= 0 && hasPassed(p.ExpiresAt) || behind != 0 && hasPassed(t.ExpiresAt) {
		return Decision{Outcome: Refused, Next: p}
	}

	switch {
	case behind < 0:
		return Decision{Outcome: Healed, Next: p.Rotate(t.Generation+1, now, r)}

	case behind == 0:
		if !p.IssuedAt.IsZero() && now.Before(p.IssuedAt.Add(FreshGraces*p.grace(r))) {
			d := Decision{Outcome: StillFresh, Next: p.usable(now, r)}
			if p.ConfirmedAt.IsZero() && p.usesCount(now) {
				d.Next.ConfirmedAt = now // the bearer of the pair has received it
			}
			return d
		}
		return Decision{Outcome: Rotated, Next: p.Rotate(p.Generation+1, now, r)}

	case behind > 1:
		return stolen(Old)
	}

	// The predecessor. Each of the two times is set once per generation (apart from
	// a late retry), so presenting it again extends nothing.
	since := p.IssuedAt
	if p.ConfirmedAt.After(since) {
		since = p.ConfirmedAt
	}
	if now.Before(since.Add(p.grace(r))) {
		return Decision{Outcome: Raced, Next: p.usable(now, r)}
	}
	if !p.ConfirmedAt.IsZero() {
		return stolen(Stale)
	}
	next, ok := p.retryLate(now, r)
	if !ok {
		return stolen(Lockstep)
	}
	return Decision{Outcome: RetriedLate, Next: next}
}
