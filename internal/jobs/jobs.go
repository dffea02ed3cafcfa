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

// Runner processes jobs. Make it with [New].
type Runner struct {
	// clientFor makes a client for a queue's schema.
	clientFor func(schema string) (*river.Client[pgx.Tx], error)
	queue     atomic.Pointer[queue] // nil until the database has said which it is

	pool     isolation.Pool
	log      *slog.Logger
	quiet    *slog.Logger // for what may fail because the database is away
	stopping *atomic.Bool
	outage   *outage
	webhook  bool
	kept     KeptLeaks // nil for none
	overdue  time.Duration
}

// New returns a runner. It sends no query and starts no goroutine.
func New(cfg Config) (*Runner, error) {
	if cfg.Pool == nil || cfg.Logger == nil || cfg.Sessions == nil {
		return nil, errors.New("jobs: Pool, Logger and Sessions are required")
	}
	if cfg.CleanupInterval != 0 && cfg.CleanupInterval < time.Second {
		return nil, fmt.Errorf("jobs: CleanupInterval is %v, it must be 0, or 1s or more", cfg.CleanupInterval)
	}
	cfg.Observer = cmp.Or[Observer](cfg.Observer, nobody{})
	webhook, err := newLeakWebhookWorker(cfg.LeakWebhook, cmp.Or(cfg.times.webhook, webhookTimeout))
	if err != nil {
		return nil, err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &cleanupWorker{cfg: cfg})
	river.AddWorker(workers, &leakLogWorker{log: cfg.Logger})
	river.AddWorker(workers, webhook)
	periodic, queues := periodicCleanup(cfg.CleanupInterval), map[string]river.QueueConfig{cleanupQueue: {MaxWorkers: 1}, leakLogQueue: {MaxWorkers: leakLogWorkers, FetchPollInterval: leakLogPoll}, leakWebhookQueue: {MaxWorkers: leakWebhookWorkers}}
	if cfg.Keys != nil {
		// A replica without keys in the database leaves them to those that have them.
		river.AddWorker(workers, &keysWorker{keys: cfg.Keys})
		periodic, queues[keysQueue] = append(periodic, periodicKeys()), river.QueueConfig{MaxWorkers: 1}
	}
	stopping, away := new(atomic.Bool), newOutage(cfg.Logger, cfg.Pool)
	poll := cmp.Or(cfg.times.poll, pollInterval)
	if cfg.PollOnly {
		poll = pollOnlyInterval
	}
	log := slog.New(quiet{cfg.Logger.Handler(), stopping, away})
	driver := riverpgxv5.New(cfg.Pool)
	db := isolation.Pool{Pool: cfg.Pool}
	var queueDriver riverdriver.Driver[pgx.Tx] = driver
	if cfg.PollOnly {
		queueDriver = pooledDriver{driver, db}
	}
	cfgFor := func(schema string) *river.Config {
		return &river.Config{
			Schema:       schema,
			Queues:       queues,
			Workers:      workers,
			PeriodicJobs: periodic,
			Logger:       log,
			ErrorHandler: failures{cfg.Logger, cfg.Observer},

			FetchPollInterval:    poll,
			PollOnly:             cfg.PollOnly,
			JobTimeout:           cmp.Or(cfg.times.job, jobTimeout),
			RescueStuckJobsAfter: rescueAfter,
			// A finished run of cleanup keeps a second one out of its period, so it stays that long.
			CompletedJobRetentionPeriod: max(keepFinished, 2*cfg.CleanupInterval),
			// A report that could not be delivered is kept until an operator has seen it.
			DiscardedJobRetentionPeriod: -1,
			// A few rows per day leave indexes nothing to be rebuilt for.
			ReindexerSchedule: river.NeverSchedule(),
		}
	}
	clientFor := func(schema string) (*river.Client[pgx.Tx], error) {
		client, err := river.NewClient(queueDriver, cfgFor(schema))
		if err != nil {
			return nil, fmt.Errorf("jobs: %w", err)
		}
		return client, nil
	}
	if _, err := clientFor(migrations.RiverSchema); err != nil { // what is wrong with the configuration is said at once
		return nil, err
	}
	return &Runner{clientFor: clientFor, pool: db, log: cfg.Logger, quiet: log, stopping: stopping, outage: away, webhook: cfg.LeakWebhook.URL != "", kept: cfg.KeptLeaks, overdue: cmp.Or(cfg.times.overdue, overdueInterval)}, nil
}

// Run processes jobs until ctx ends. Then it interrupts running ones, which makes them available to the other
// replicas, and returns nil.
func (r *Runner) Run(ctx context.Context) error {
	// The queue's own way to stop, unlike its context's end, puts interrupted jobs back.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() { r.outage.run(ctx) })
	following.Go(func() { r.followOverdue(ctx) })
	if r.kept != nil {
		following.Go(func() { r.followKeptLeaks(ctx) })
	}
	if !r.start(ctx, life, end) {
		return nil
	}
	<-ctx.Done()
	r.stopping.Store(true)

	stopCtx, cancel := context.WithTimeout(life, stopTimeout)
	defer cancel()
	if err := r.queue.Load().StopAndCancel(stopCtx); err != nil {
		// The queue waits for an unreachable database. Its jobs are rows: another replica, or the next start, takes
		// them over.
		r.log.WarnContext(stopCtx, "the job queue did not stop in time", "error", err)
	}
	return nil
}

// start retries until it succeeds, which it reports, or ctx ends: requests do not need the queue, so its failure to
// start is no reason to stop them.
func (r *Runner) start(ctx, life context.Context, end func()) bool {
	// A hanging database would also keep a start from ending.
	started := context.AfterFunc(ctx, end)
	for {
		q, err := r.known(life, r.pool)
		if err == nil {
			err = q.Start(life)
		}
		if err == nil {
			started()
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		r.quiet.WarnContext(ctx, "the job queue cannot start yet", "error", err)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(startRetryPause):
		}
	}
}
