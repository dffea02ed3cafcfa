package refresh

import (
	"cmp"
	"math"
	"time"

	"github.com/google/uuid"
)

const (
	// MaxAccessTokenTTL bounds an access token's lifetime, and so how long a
	// verifier must remember that its session was revoked.
	MaxAccessTokenTTL = 24 * time.Hour

	// MaxLifetime is the maximum that the columns of lifetimes hold, 68 years. Any time
	// plus this is within the range of PostgreSQL's times and JSON's numbers.
	MaxLifetime = math.MaxInt32 * time.Second

	// DefaultLateRetryLimit is the [Rules].LateRetryLimit of a store that sets none.
	DefaultLateRetryLimit = 8
)

// How long a pair's answers may matter, in graces. An honest request and its
// answer take less than one grace together, so of a pair that was issued at 0
//
//   - an answer that made or repeated it arrives before 2: until then a tab may
//     still send the predecessor, which arrives before 3. A pair must not be
//     rotated before that, or the predecessor would look old.
//   - an answer that repeated it while it was fresh arrives before 4, and may
//     overwrite the successor in the client's store. Only a request sent after that,
//     which arrives after 5, shows which pair the client ended up with.
const (
	FreshGraces  = 3
	SettleGraces = 5
)

// Rules are the settings that decide.
type Rules struct {
	// Grace is the time that a request and its answer may take together.
	Grace time.Duration
	// LateRetryLimit is the maximum number of consecutive generations with a late retry.
	LateRetryLimit int
	// RefuseReplaced makes strict checks refuse an access token once its successor
	// exists.
	RefuseReplaced bool
	// Defaults are the lifetimes of a pair without its own.
	Defaults Lifetimes
	// FirstClient is the client of pairs that name none.
	FirstClient string
	// Audiences are the audiences of new access tokens, by client. Those of a missing
	// client keep their audience.
	Audiences map[string]string
}

// Of returns the rules for a pair that was issued with a grace; zero means their own.
func (r Rules) Of(grace time.Duration) Rules {
	r.Grace = cmp.Or(grace, r.Grace)
	return r
}

// Lifetimes are how long a session and its tokens last, in whole seconds.
type Lifetimes struct {
	AccessToken  time.Duration // up to [MaxAccessTokenTTL]
	RefreshToken time.Duration // the idle timeout
	Session      time.Duration // the absolute timeout, counted from creation; zero for none
}

// Or fills the zero members from the defaults.
func (l Lifetimes) Or(defaults Lifetimes) Lifetimes {
	return Lifetimes{
		AccessToken:  cmp.Or(l.AccessToken, defaults.AccessToken),
		RefreshToken: cmp.Or(l.RefreshToken, defaults.RefreshToken),
		Session:      cmp.Or(l.Session, defaults.Session),
	}
}

// Pair is the stored state of a session's token pair.
type Pair struct {
	SessionID uuid.UUID
	Subject   string
	Revoked   bool
	End       time.Time // absolute; zero for none
	Lifetimes Lifetimes // the session's own; zero members for the defaults

	ID                  uuid.UUID // the row's
	Generation          int64
	CreatedAt           time.Time     // when this generation was made
	IssuedAt            time.Time     // when it was last handed out by a rotation or a late retry; zero until the first
	SettledAt           time.Time     // when its use begins to count; zero for at once
	Grace               time.Duration // in force when it was issued; zero for that of the rules
	ExpiresAt           time.Time
	LateRetryGeneration int64 // in which a late retry was last served
	LateRetries         int   // generations in a row that had one, up to that

	AccessGeneration int64
	AccessExpiresAt  time.Time
	Client           string    // the session's; empty in the rows of an earlier release
	Audience         string    // the access token's; empty in the rows of an earlier release
	ConfirmedAt      time.Time // when the pair was first seen in use; zero for not yet

	Claims string // the session's own, as its access tokens have them; empty for none. They decide nothing

	Era int64 // that the session began in, as its access tokens have it. It never changes, and decides nothing here

	BoundTo string // the thumbprint of its client's key; empty for none. See Decide
}

// MintedAt is when the present access token was made: a new one is made whenever the
// pair is issued again.
func (p Pair) MintedAt() time.Time {
	if p.IssuedAt.IsZero() {
		return p.CreatedAt
	}
	return p.IssuedAt
}

// HasRefreshToken is false for a pair that is only an access token. Its own two
// lifetimes are equal: no other pair has that, since a refresh token outlives the
// access token.
func (p Pair) HasRefreshToken() bool {
	return p.Lifetimes.RefreshToken == 0 || p.Lifetimes.RefreshToken != p.Lifetimes.AccessToken
}

// grace is the grace for the pair's windows. It is not that of the answering
// replica: while the setting is being changed, replicas with either value answer,
// and one must not rotate what the other still hands out.
func (p Pair) grace(r Rules) time.Duration { return cmp.Or(p.Grace, r.Grace) }

// usesCount reports whether the pair's use proves that its client holds it, and
// that no response under way will overwrite it with the previous pair.
func (p Pair) usesCount(now time.Time) bool { return !now.Before(p.SettledAt) }

// Rotate gives the pair its next generation.
func (p Pair) Rotate(generation int64, now time.Time, r Rules) Pair {
	expiresAt := now.Add(p.Lifetimes.Or(r.Defaults).RefreshToken)
	if until := p.replacedUntil(); until.After(expiresAt) {
		expiresAt = until
	}
	p.SettledAt = now
	if settled := p.IssuedAt.Add(SettleGraces * p.grace(r)); !p.IssuedAt.IsZero() && settled.After(now) {
		p.SettledAt = settled
	}
	// A healed pair skips as many access tokens as it skips refresh tokens.
	p.AccessGeneration += generation - p.Generation - 1
	p.Generation = generation
	p.CreatedAt, p.IssuedAt, p.Grace = now, now, r.Grace
	p.ExpiresAt = p.capped(expiresAt)
	p.mintAccess(now, r)
	return p
}

// retryLate hands out the pair's refresh token once more, with a new access
// token: the first one's lifetime may be over. Several late retries in one
// generation count once. It fails once the limit is exceeded.
func (p Pair) retryLate(now time.Time, r Rules) (Pair, bool) {
	switch {
	case p.LateRetries > 0 && p.LateRetryGeneration == p.Generation:
	case p.LateRetries > 0 && p.LateRetryGeneration == p.Generation-1:
		p.LateRetries++
	default:
		p.LateRetries = 1
	}
	if p.LateRetries > r.LateRetryLimit {
		return p, false
	}
	p.LateRetryGeneration = p.Generation
	p.IssuedAt, p.Grace = now, r.Grace
	p.mintAccess(now, r)
	return p, true
}

// mintAccess gives the pair a new access token, which has not been used yet.
func (p *Pair) mintAccess(now time.Time, r Rules) {
	p.AccessGeneration++
	p.AccessExpiresAt = p.accessUntil(now.Add(p.Lifetimes.Or(r.Defaults).AccessToken))
	p.ConfirmedAt, p.Client = time.Time{}, cmp.Or(p.Client, r.FirstClient)
	if audience, isKnown := r.Audiences[p.Client]; isKnown {
		p.Audience = audience
	}
}

// usable returns the pair in the form in which it may be handed out again. If its
// access token is in the last tenth of its life, it gets another: a grace that was
// raised since the session began lets a pair be fresh for longer than its access
// token lives. Nothing else changes, so no window gets longer.
func (p Pair) usable(now time.Time, r Rules) Pair {
	ttl := p.Lifetimes.Or(r.Defaults).AccessToken
	signed := p.AccessExpiresAt.Truncate(time.Second) // a JWT's times are in seconds
	if signed.After(now.Add(ttl / 10)) {
		return p
	}
	if next := p.accessUntil(now.Add(ttl)); next.After(p.AccessExpiresAt) {
		p.AccessGeneration++
		p.AccessExpiresAt = next
	}
	return p
}

// replacedUntil is when the last of the access tokens that the pair has had so far has
// expired, whatever lifetimes they were made with. A session does not idle out before
// that: verifiers without a database would accept them for longer.
func (p *Pair) replacedUntil() time.Time {
	until := p.MintedAt().Add(MaxAccessTokenTTL)
	if p.AccessExpiresAt.After(until) {
		until = p.AccessExpiresAt
	}
	if p.ExpiresAt.Before(until) {
		return p.ExpiresAt // which is after each of them
	}
	return until
}

// accessUntil keeps an access token within its session, which may idle out before: at a
// late retry, or if lifetimes have changed since the pair was made.
func (p *Pair) accessUntil(t time.Time) time.Time {
	if p.ExpiresAt.Before(t) {
		t = p.ExpiresAt
	}
	return p.capped(t)
}

// capped keeps a token within its session's absolute end.
func (p *Pair) capped(t time.Time) time.Time {
	if !p.End.IsZero() && p.End.Before(t) {
		return p.End
	}
	return t
}
