package verifier

import (
	"time"

	"github.com/google/uuid"
)

// Revocation is a session that was revoked, access tokens that were superseded
// while their session continues, or that all users were signed out.
type Revocation struct {
	// SessionID is the session; zero if Below or Era is not.
	SessionID uuid.UUID
	// Until is when the last of the affected access tokens has expired, plus
	// [Slack]: in seconds since 1970.
	Until int64
	// Era, unless it is zero, says that sessions of earlier eras (see [tokens.Claims]) have
	// ended. Those of their access tokens that were issued before the second Before are refused; the
	// service is asked about others, which only a clock or a failover can have made.
	Era, Before int64
	// Below, unless it is zero, says that access tokens with this TokenID and a lower
	// generation are refused.
	Below   int64
	TokenID uuid.UUID
}

// Slack is how much longer than its last access token a revoked session is
// remembered: by the clock of the database or, in a verifier that does not know
// that, by one that may be this far behind.
const Slack = time.Minute

// Batch is what a source found out. Several batches may form a whole, of which
// the last has a Proof.
type Batch struct {
	// Reset starts the set over: it then contains only what the batches up to the
	// next Proof have, and revoked sessions and eras whose time is not over. Until that Proof the set
	// is not changed.
	Reset bool
	// Sessions were revoked, or their access tokens superseded. Naming one twice is
	// harmless.
	Sessions []Revocation
	// Proof, unless it is zero, is when the request that the batches answer was
	// sent: now the set has everything that was revoked before. It must have
	// been read with [Set.Now] before sending the request.
	Proof Moment
	// Now, unless it is zero, is what the database's clock showed between Proof and
	// the call of [Set.Apply]: tokens expire by it, whatever this machine's clock shows.
	Now time.Time
	// Cursor names the state that Proof is about, for [Catcher].
	Cursor string
	// From, unless it is zero, says that sessions with an earlier Until may
	// be missing: in seconds since 1970.
	From int64
}
