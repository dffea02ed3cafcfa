package sessionstore

import "github.com/latchkey-sessions/latchkey/internal/refresh"

// Outcome is what happened to a presented refresh token that had verified as a
// JWT: see docs/refresh.md. Its String is the name that logs and metrics have
// for it.
type Outcome = refresh.Outcome

// The outcomes.
const (
	Refused     = refresh.Refused     // the session is gone, revoked, idle for too long or past its end
	Rotated     = refresh.Rotated     // the newest token, which is now replaced by the next generation
	StillFresh  = refresh.StillFresh  // the newest token, shortly after it was issued: the same pair is the answer
	Raced       = refresh.Raced       // the predecessor, within the grace: the same pair is the answer
	RetriedLate = refresh.RetriedLate // the predecessor, whose successor was never seen: the same refresh token is the answer
	Stolen      = refresh.Stolen      // a token that its owner had no reason to present any more: the session is revoked
	Healed      = refresh.Healed      // a generation that the database has lost: it is rotated
)

// Theft is the kind of a [Stolen] outcome.
type Theft = refresh.Theft

// The thefts.
const (
	Stale    = refresh.Stale    // a predecessor, after its successor was in use and the grace had passed
	Lockstep = refresh.Lockstep // a predecessor that came late in too many generations in a row
	Old      = refresh.Old      // a token older than the predecessor
	Unproven = refresh.Unproven // a token from before its session was bound to a key, without that key
)

// Lifetimes are how long a session and its tokens last, in whole seconds: its
// members AccessToken, up to [MaxAccessTokenTTL]; RefreshToken, the idle timeout,
// after which a session that is not refreshed ends; and Session, the absolute
// timeout, counted from creation regardless of refreshes, where zero means none.
type Lifetimes = refresh.Lifetimes
