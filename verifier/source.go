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
	// within [Set.Bound]. What goes wrong is no reason to return: it tells
	// [Set.Failed] and tries again.
	Follow(ctx context.Context, set *Set) error
}

// Catcher is a source that can tell what was revoked after any cursor of its
// own, for a feed whose reader was away for longer than the feed remembers.
type Catcher interface {
	// Since returns the sessions that were revoked after the cursor. It returns
	// false if the cursor's state is no more, or too long ago: the reader has to
	// start over.
	Since(ctx context.Context, cursor string) ([]Revocation, bool, error)
}

// Revocation is a session that was revoked, or access tokens that were superseded
// while their session continues.
type Revocation struct {
	// SessionID is the session; zero where Below is not.
	SessionID uuid.UUID
	// Until is when the last of the access tokens has expired that it is about, plus
	// [Slack]: in seconds since 1970.
	Until int64
	// Below, unless it is zero, says that access tokens are refused whose generation is
	// lower, and whose TokenID is this one.
	Below   int64
	TokenID uuid.UUID
}

// Slack is how much longer than its last access token a revoked session is
// remembered: by the clock of the database or, in a verifier that is not told it, by
// one that may be behind for so long.
const Slack = time.Minute

// Batch is what a source has found out. Several batches may make one whole: the
// last of them has a Proof.
type Batch struct {
	// Reset starts the set over: what the batches up to the next Proof do not
	// have is not in it, except for revoked sessions whose time is not over. Until
	// then the set stays as it is.
	Reset bool
	// Sessions were revoked, or their access tokens superseded. To name one twice is
	// harmless.
	Sessions []Revocation
	// Proof, unless it is zero, is when the question was asked that the batches
	// answer: now the set has everything that was revoked before. It must have
	// been read by [Set.Now] before the question was sent.
	Proof Moment
	// Now, unless it is zero, is what the database's clock has shown between Proof and
	// the call of [Set.Apply]: tokens expire by it, whatever this machine's clock shows.
	Now time.Time
	// Cursor names the state that Proof is about, for [Catcher].
	Cursor string
	// From, unless it is zero, says that sessions whose Until lies before it may
	// be missing: in seconds since 1970.
	From int64
}
