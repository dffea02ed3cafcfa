package sessionstore

import (
	"time"

	"github.com/google/uuid"
)

// This file decides what a presented refresh token does. It is pure: no clock,
// no database, no randomness. refresh.go loads the pair under its locks, calls
// decide, writes what it says, commits, and only then answers.

// Outcome is what came of a presented refresh token that had verified as a JWT.
type Outcome int

const (
	// Refused means: the session is gone, revoked, idle for too long or past its end.
	Refused Outcome = iota
	// Rotated means: the newest token, which is now replaced by the next generation.
	Rotated
	// StillFresh means: the newest token, so shortly after it was issued that the same pair is the answer.
	StillFresh
	// Raced means: the predecessor, within the grace period. The same pair is the answer.
	Raced
	// RetriedLate means: the predecessor, whose successor was never seen: the
	// response was lost. The same refresh token is the answer, with a new access token.
	RetriedLate
	// Stolen means: a token that its owner had no more reason to present. The session is revoked.
	Stolen
	// Healed means: a generation that the database does not know, because it lost
	// commits in a failover or a restore. It is rotated.
	Healed
)

// String returns the outcome's name as logs and metrics spell it.
func (o Outcome) String() string {
	return [...]string{"refused", "rotated", "still_fresh", "raced", "retried_late", "stolen", "healed"}[o]
}

// Theft is the kind of a [Stolen] outcome.
type Theft string

const (
	// Stale is a predecessor that came back after its successor was in use and the grace had passed.
	Stale Theft = "stale"
	// Lockstep is a predecessor that came late in too many generations in a
	// row: somebody follows one step behind.
	Lockstep Theft = "lockstep"
	// Old is a token older than the predecessor.
	Old Theft = "old"
)

// How long a pair's answers may matter, in graces. An honest request and its
// answer take less than one grace together, so of a pair that was issued at 0
//
//   - an answer that made or repeated it arrives before 2: until then a tab may
//     still send the predecessor, which arrives before 3. A pair must not be
//     rotated before that, or the predecessor would look old.
//   - an answer that repeated it while it was fresh arrives before 4, and may
//     overwrite the successor in the client's store. Only what was sent after
//     that, and so arrives after 5, shows which pair its client is left with.
const (
	freshGraces  = 3
	settleGraces = 5
)

// rules are the settings that decide.
type rules struct {
	// grace is the time that a request and its answer may take together.
	grace time.Duration
	// lateRetryLimit is the number of generations in a row with a late retry.
	lateRetryLimit int
	// defaults are the lifetimes of a pair that has none of its own.
	defaults Lifetimes
}

// pair is the stored state of a session's token pair.
type pair struct {
	SessionID uuid.UUID
	Subject   string
	Revoked   bool
	End       time.Time // absolute; zero for none
	Lifetimes Lifetimes // the session's own; zero members for the defaults

	ID                  uuid.UUID // the row's
	Generation          int64
	CreatedAt           time.Time // when this generation was made
	IssuedAt            time.Time // when it was last handed out by a rotation or a late retry; zero until the first
	SettledAt           time.Time // from when on its use counts; zero for at once
	ExpiresAt           time.Time
	LateRetryGeneration int64 // in which a late retry was last served
	LateRetries         int   // generations in a row that had one, up to that

	AccessGeneration int64
	AccessExpiresAt  time.Time
	ConfirmedAt      time.Time // when the pair was first seen in use; zero for not yet

	BoundTo string // the thumbprint of its client's key; empty for none. See decideBound
}

// mintedAt is when the present access token was made: one is made whenever the
// pair is handed out anew.
func (p pair) mintedAt() time.Time {
	if p.IssuedAt.IsZero() {
		return p.CreatedAt
	}
	return p.IssuedAt
}

// decision is an outcome and the pair as it is to be stored and answered.
type decision struct {
	Outcome Outcome
	Theft   Theft // only where Outcome is Stolen
	// Unproven says of a Refused outcome that only the proof is missing.
	Unproven bool
	Next     pair
}

// decide applies the refresh protocol: generation is the presented token's,
// now the database's time.
//
// It relies on this of an honest client: it keeps its tokens in one store, the
// last answer written wins, and a request and its answer take less than the
// grace together.
func decide(p pair, generation int64, now time.Time, r rules) decision {
	stay := func(o Outcome) decision { return decision{Outcome: o, Next: p} }
	stolen := func(t Theft) decision { return decision{Outcome: Stolen, Theft: t, Next: p} }

	if p.Revoked || !now.Before(p.ExpiresAt) || !p.End.IsZero() && !now.Before(p.End) {
		return stay(Refused)
	}

	switch behind := p.Generation - generation; {
	case behind < 0:
		return decision{Outcome: Healed, Next: p.rotate(generation+1, now, r)}

	case behind == 0:
		if !p.IssuedAt.IsZero() && now.Before(p.IssuedAt.Add(freshGraces*r.grace)) {
			d := stay(StillFresh)
			if p.ConfirmedAt.IsZero() && p.usesCount(now) {
				d.Next.ConfirmedAt = now // whoever presents it, has it
			}
			return d
		}
		return decision{Outcome: Rotated, Next: p.rotate(p.Generation+1, now, r)}

	case behind > 1:
		return stolen(Old)
	}

	// The predecessor. Each of the two times is set once for a generation (a
	// late retry aside), so presenting it again extends nothing.
	since := p.IssuedAt
	if p.ConfirmedAt.After(since) {
		since = p.ConfirmedAt
	}
	if now.Before(since.Add(r.grace)) {
		return stay(Raced)
	}
	if !p.ConfirmedAt.IsZero() {
		return stolen(Stale)
	}
	next, ok := p.retryLate(now, r)
	if !ok {
		return stolen(Lockstep)
	}
	return decision{Outcome: RetriedLate, Next: next}
}

// usesCount tells whether the pair's use proves that its client holds it, and
// that no answer under way will replace it by the pair before.
func (p pair) usesCount(now time.Time) bool { return !now.Before(p.SettledAt) }

// rotate gives the pair its next generation.
func (p pair) rotate(generation int64, now time.Time, r rules) pair {
	p.SettledAt = now
	if settled := p.IssuedAt.Add(settleGraces * r.grace); !p.IssuedAt.IsZero() && settled.After(now) {
		p.SettledAt = settled
	}
	// A healed pair skips as many access tokens as it skips refresh tokens.
	p.AccessGeneration += generation - p.Generation - 1
	p.Generation = generation
	p.CreatedAt, p.IssuedAt = now, now
	p.ExpiresAt = p.capped(now.Add(p.Lifetimes.or(r.defaults).RefreshToken))
	return p.mintAccess(now, r)
}

// retryLate hands out the pair's refresh token once more, with a new access
// token: the first one's lifetime may be over. Several late retries in one
// generation count once. It fails when the limit is passed.
func (p pair) retryLate(now time.Time, r rules) (pair, bool) {
	switch {
	case p.LateRetries > 0 && p.LateRetryGeneration == p.Generation:
	case p.LateRetries > 0 && p.LateRetryGeneration == p.Generation-1:
		p.LateRetries++
	default:
		p.LateRetries = 1
	}
	if p.LateRetries > r.lateRetryLimit {
		return p, false
	}
	p.LateRetryGeneration = p.Generation
	p.IssuedAt = now
	return p.mintAccess(now, r), true
}

// mintAccess gives the pair a new access token, which nobody has used yet.
func (p pair) mintAccess(now time.Time, r rules) pair {
	p.AccessGeneration++
	p.AccessExpiresAt = p.capped(now.Add(p.Lifetimes.or(r.defaults).AccessToken))
	p.ConfirmedAt = time.Time{}
	return p
}

// capped keeps a token within its session's absolute end.
func (p pair) capped(t time.Time) time.Time {
	if !p.End.IsZero() && p.End.Before(t) {
		return p.End
	}
	return t
}
