package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// ErrNotDead says that there is no job with the id that was given up.
var ErrNotDead = errors.New("no such dead job")

// deadLimit is how many [Runner.Dead] and [Runner.Running] return.
const deadLimit = 100

// Dead is a job that was given up: its last attempt has failed.
type Dead struct {
	ID       int64
	Kind     string
	At       time.Time
	Attempts int
}

// Running is a job that a replica is working on.
type Running struct {
	ID   int64
	Kind string
	// Since is when this attempt began, and Attempt its number.
	Since   time.Time
	Attempt int
	// By is the replica's name in the queue: its machine's and when it started.
	By string
}

// Running returns the jobs that run on any replica, newest first, at most a hundred.
// It includes one whose replica was killed until another takes it over.
func (r *Runner) Running(ctx context.Context) ([]Running, error) {
	q, err := r.known(ctx, r.pool)
	if err != nil {
		return nil, fmt.Errorf("jobs: list running jobs: %w", err)
	}
	list, err := q.JobList(ctx, river.NewJobListParams().States(rivertype.JobStateRunning).
		OrderBy(river.JobListOrderByTime, river.SortOrderDesc).First(deadLimit))
	if err != nil {
		return nil, fmt.Errorf("jobs: list running jobs: %w", err)
	}
	running := make([]Running, len(list.Jobs))
	for i, job := range list.Jobs {
		running[i] = Running{ID: job.ID, Kind: job.Kind, Attempt: job.Attempt}
		if job.AttemptedAt != nil {
			running[i].Since = *job.AttemptedAt
		}
		if n := len(job.AttemptedBy); n > 0 {
			running[i].By = job.AttemptedBy[n-1]
		}
	}
	return running, nil
}

// Dead returns the jobs that were given up, newest first, at most a hundred.
func (r *Runner) Dead(ctx context.Context) ([]Dead, error) {
	q, err := r.known(ctx, r.pool)
	if err != nil {
		return nil, fmt.Errorf("jobs: list dead jobs: %w", err)
	}
	list, err := q.JobList(ctx, river.NewJobListParams().States(rivertype.JobStateDiscarded).
		OrderBy(river.JobListOrderByFinalizedAt, river.SortOrderDesc).First(deadLimit))
	if err != nil {
		return nil, fmt.Errorf("jobs: list dead jobs: %w", err)
	}
	dead := make([]Dead, len(list.Jobs))
	for i, job := range list.Jobs {
		dead[i] = Dead{ID: job.ID, Kind: job.Kind, Attempts: job.Attempt}
		if job.FinalizedAt != nil {
			dead[i].At = *job.FinalizedAt
		}
	}
	return dead, nil
}

// SendAgain retries a job that was given up, at once. For any other job the error is
// [ErrNotDead].
func (r *Runner) SendAgain(ctx context.Context, id int64) error {
	tx, err := r.pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("jobs: send again: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after the commit there is nothing to undo
	q, err := r.known(ctx, tx)
	if err != nil {
		return fmt.Errorf("jobs: send again: %w", err)
	}
	job, err := q.JobGetTx(ctx, tx, id)
	if errors.Is(err, rivertype.ErrNotFound) || err == nil && job.State != rivertype.JobStateDiscarded {
		return ErrNotDead
	}
	if err == nil {
		_, err = q.JobRetryTx(ctx, tx, id)
	}
	if err == nil {
		err = tx.Commit(ctx)
	}
	if err != nil {
		return fmt.Errorf("jobs: send again: %w", err)
	}
	return nil
}
