// Package jobs runs what the service does alongside answering requests, on a queue in the same
// PostgreSQL.
//
// It promises that a job is done by one replica at a time, that it outlives the replica that had begun it, and that
// the queue costs requests nothing: it has its own connections, and creating or refreshing a session sends it no
// notification. A database that becomes unreachable delays jobs; they continue when it is back.
package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// pollInterval is how late a job is noticed if its notification was lost.
	pollInterval = 10 * time.Second
	// pollOnlyInterval is how late a job is noticed without notifications.
	pollOnlyInterval = time.Second
	// jobTimeout limits one attempt, unless the job sets its own limit.
	jobTimeout = 15 * time.Second
	// rescueAfter is when a job whose replica was killed, or could not record the job's end, is taken over: soon,
	// because a report may be waiting. A job that sets a longer timeout keeps that.
	rescueAfter = 2 * jobTimeout
	// keepFinished is the minimum time for which a finished job can be looked up.
	keepFinished = 7 * 24 * time.Hour

	stopTimeout     = 5 * time.Second
	startRetryPause = 2 * time.Second
)

// Keys are the signing keys, as far as this package uses them.
type Keys interface {
	// Maintain does what is due, if anything is. It may be called at any time.
	Maintain(ctx context.Context) error
}

// KeptLeaks are the reports that could not be enqueued.
type KeptLeaks interface {
	// EnqueueKeptLeaks enqueues them, and returns how many.
	EnqueueKeptLeaks(ctx context.Context, queue sessionstore.LeakQueue) (int, error)
}

// Webhook is where leak reports are sent, in addition to the log
// (https://www.standardwebhooks.com).
type Webhook struct {
	// URL accepts a POST. Empty: there is no webhook.
	URL string
	// Secret is what deliveries are signed with: "whsec_" and 24 to 64 bytes in base64.
	Secret tokens.Secret
	// Again, if set, reads the secret for each delivery: it may have been replaced.
	Again func() (tokens.Secret, error)
}

// Config says what to run, and where the queue is.
type Config struct {
	// Pool leads to the database with the queue's tables. Jobs and the queue's listener hold some of its connections
	// for a long time, so it should not be the one that requests use. Required.
	Pool *pgxpool.Pool
	// PollOnly is for a pool that leads to a pooler in transaction mode: there are
	// no notifications of jobs, and the queue polls every second.
	PollOnly bool
	// Logger records what jobs did. Required.
	Logger *slog.Logger
	// Sessions is the store from which cleanup removes. Required.
	Sessions cleanup.Store
	// Cleanup says what cleanup removes.
	Cleanup cleanup.Config
	// CleanupInterval is how often cleanup runs, across all replicas. Zero: this replica never schedules it.
	CleanupInterval time.Duration
	// Keys, if set, are maintained once per hour, across all replicas.
	Keys Keys
	// KeptLeaks, if set, are checked for every 15 seconds.
	KeptLeaks KeptLeaks
	// LeakWebhook is where leak reports are sent, if anywhere.
	LeakWebhook Webhook
	// Observer, if set, is notified of what jobs did.
	Observer Observer

	// times differ from the constants in tests that need not wait for these. Zero means the constant.
	times struct{ poll, overdue, job, webhook time.Duration }
}

// Observer counts what jobs did, on this replica.
type Observer interface {
	// Cleaned is called after a run of cleanup, or a leg of one. err is why it failed, if it did.
	Cleaned(summary cleanup.Summary, err error)
	// JobFailed is called when an attempt at a job of a kind has failed; last says that there will be no other.
	JobFailed(kind string, last bool)
}

// nobody is an Observer that does nothing.
type nobody struct{}

func (nobody) Cleaned(cleanup.Summary, error) {}

func (nobody) JobFailed(string, bool) {}
