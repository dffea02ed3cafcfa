package console

import (
	"context"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/internal/replicas"
)

// Service is what the page shows about the service that it is part of. Members that are nil or zero
// are omitted.
type Service struct {
	// Version is that of this replica.
	Version string
	// Refreshes are the refresh tokens that were presented to this replica since it began, by
	// outcome.
	Refreshes func() map[string]int64
	// Clock is how far this replica's clock is ahead of the database's.
	Clock func() (offset, uncertainty time.Duration, known bool)
	// RevocationsAge is how old this replica's knowledge of revocations is, and RevocationBound how
	// old it may become.
	RevocationsAge  func() time.Duration
	RevocationBound time.Duration
	// Keys lists the signing keys, and KeyRotation is how often they are replaced; zero for never.
	Keys        func(context.Context) ([]Key, error)
	KeyRotation time.Duration
	// OtherKeys says that tokens signed with other keys are accepted, too, such as those of
	// Compas.
	OtherKeys bool
	// LastCleanup is when cleanup last finished, and CleanupInterval how often it runs.
	LastCleanup     func(context.Context) (time.Time, error)
	CleanupInterval time.Duration
	// Replicas lists the running replicas, including this one.
	Replicas func(context.Context) ([]replicas.Replica, error)
	// Jobs are those of all replicas.
	Jobs Jobs
	// Events are the deliveries of events.
	Events Events
}

// Jobs are the running jobs, and those that were given up.
type Jobs interface {
	Running(context.Context) ([]jobs.Running, error)
	Dead(context.Context) ([]jobs.Dead, error)
	SendAgain(ctx context.Context, id int64) error
}

// Events are the deliveries that were given up: an [events.Queue] has them.
type Events interface {
	Dead(ctx context.Context, params events.DeadParams, most int) ([]events.Dead, error)
	Resend(ctx context.Context, ids []int64, endpoint string) (int64, error)
}

// Key describes a signing key, without any part of it.
type Key struct {
	ID, Algorithm string
	// State says what it is used for: "signs", "published" before it signs, "verifies" after.
	State string
	// SignsFrom and VerifiesUntil are zero if unknown.
	SignsFrom, VerifiesUntil time.Time
}
