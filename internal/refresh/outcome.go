package refresh

// Outcome is what happened to a presented refresh token that had verified as a JWT.
type Outcome int

const (
	// Refused means: the session is gone, revoked, idle for too long or past its end.
	Refused Outcome = iota
	// Rotated means: the newest token, which is now replaced by the next generation.
	Rotated
	// StillFresh means: the newest token, presented so soon after it was issued that the same pair is the
	// answer.
	StillFresh
	// Raced means: the predecessor, within the grace period. The same pair is the answer.
	Raced
	// RetriedLate means: the predecessor, whose successor was never seen: the
	// response was lost. The same refresh token is the answer, with a new access token.
	RetriedLate
	// Stolen means: a token that its owner had no reason to present any more. The session is
	// revoked.
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
	// Lockstep is a predecessor that came late in too many consecutive generations:
	// another party follows one step behind.
	Lockstep Theft = "lockstep"
	// Old is a token older than the predecessor.
	Old Theft = "old"
	// Unproven is a token from before its session was bound to a key, presented
	// without that key: two parties held the token, and one of them bound the
	// session. It is not known which of them is the thief.
	Unproven Theft = "unproven"
)
