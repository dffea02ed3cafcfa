package verifier

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Source finds out which sessions were revoked.
type Source interface {
	// Follow tells the set of revocations until ctx ends, and then returns nil. It
	// begins with all of them (see [Batch]), and asks for new ones several times
	// within [Set.Bound]. A failure is no reason to return: it calls
	// [Set.Failed] and tries again.
	Follow(ctx context.Context, set *Set) error
}

// Catcher is a source that can report what was revoked after any of its own cursors,
// for a feed whose reader was away for longer than the feed remembers.
type Catcher interface {
	// Since returns the sessions that were revoked after the cursor. It returns
	// false if the cursor's state no longer exists, or is too old: then the
	// reader must start over.
	Since(ctx context.Context, cursor string) ([]Revocation, bool, error)
}

// Revocation is a session that was revoked, access tokens that were superseded
// while their session continues, or that everybody was signed out.
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
	// next Proof have, and revoked sessions and eras whose time is not over. Until that
	// Proof the set stays as it is.
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
