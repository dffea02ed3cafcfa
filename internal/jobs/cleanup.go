package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const (
	cleanupKind = "session_cleanup"
	// cleanupQueue is a separate queue, so that a long run delays no other kind of job.
	cleanupQueue = "cleanup"
	// cleanupTimeout ends one leg of a run. The next leg continues, and follows at once: so a replica that
	// is killed in the middle of a long run is replaced soon, however long the run is.
	cleanupTimeout = 2 * time.Minute
	// cleanupAttempts spread over some six minutes. After that, it is up to the next period's
	// run.
	cleanupAttempts = 5
	// busyPause is how long the job waits for an operator's run of cleanup.
	busyPause = time.Minute
)

type cleanupArgs struct{}

// Kind names the job in its row.
func (cleanupArgs) Kind() string { return cleanupKind }

// periodicCleanup schedules cleanup. The leader of the replicas inserts the job, when it becomes leader and then once
// per interval; a service that is restarted more often than that still cleans up. The job is unique in its period, so
// that a new leader does not run what the last one ran.
func periodicCleanup(interval time.Duration) []*river.PeriodicJob {
	if interval == 0 {
		return nil
	}
	insert := func() (river.JobArgs, *river.InsertOpts) {
		return cleanupArgs{}, &river.InsertOpts{
			Queue:       cleanupQueue,
			MaxAttempts: cleanupAttempts,
			UniqueOpts:  river.UniqueOpts{ByPeriod: interval},
		}
	}
	return []*river.PeriodicJob{
		river.NewPeriodicJob(river.PeriodicInterval(interval), insert, &river.PeriodicJobOpts{RunOnStart: true}),
	}
}

type cleanupWorker struct {
	river.WorkerDefaults[cleanupArgs]
	cfg Config
}

// Timeout limits one leg.
func (*cleanupWorker) Timeout(*river.Job[cleanupArgs]) time.Duration { return cleanupTimeout }

// Work runs one leg of cleanup.
func (w *cleanupWorker) Work(ctx context.Context, job *river.Job[cleanupArgs]) error {
	cfg := w.cfg.Cleanup
	cfg.Began = job.CreatedAt // of all legs; if it waited for the database, there is more to do as well
	cfg.Progress = cleanup.Minutely(func(s cleanup.Summary) { w.cfg.Logger.InfoContext(ctx, "cleaning up", slog.Any("", s)) })
	summary, err := cleanup.Run(ctx, w.cfg.Sessions, cfg)
	if errors.Is(err, sessionstore.ErrCleanupRunning) {
		return river.JobSnooze(busyPause)
	}
	w.cfg.Logger.InfoContext(ctx, "cleaned up", slog.Any("", summary), slog.Bool("complete", err == nil))
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		w.cfg.Observer.Cleaned(summary, nil)
		return river.JobSnooze(0) // the next leg
	}
	w.cfg.Observer.Cleaned(summary, err)
	return err
}

// LastCleanup returns when cleanup last finished, on any replica: zero if it has not, as far as the queue
// remembers, which is two intervals.
func (r *Runner) LastCleanup(ctx context.Context) (time.Time, error) {
	q, err := r.known(ctx, r.pool)
	if err != nil {
		return time.Time{}, fmt.Errorf("jobs: look up the last cleanup: %w", err)
	}
	list, err := q.JobList(ctx, river.NewJobListParams().Kinds(cleanupKind).States(rivertype.JobStateCompleted).
		OrderBy(river.JobListOrderByFinalizedAt, river.SortOrderDesc).First(1))
	if err != nil {
		return time.Time{}, fmt.Errorf("jobs: look up the last cleanup: %w", err)
	}
	if len(list.Jobs) == 0 || list.Jobs[0].FinalizedAt == nil {
		return time.Time{}, nil
	}
	return *list.Jobs[0].FinalizedAt, nil
}
