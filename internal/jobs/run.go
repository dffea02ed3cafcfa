package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/migrations"
)

// Kinds lists all kinds of jobs.
func Kinds() []string {
	return []string{cleanupKind, keysKind, leakLogArgs{}.Kind(), leakWebhookArgs{}.Kind()}
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
// start is not a reason to stop them.
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
