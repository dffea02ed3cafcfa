package jobs

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/latchkey-sessions/latchkey/migrations"
)

// queue is the job queue of the installation that the database is.
type queue struct {
	*river.Client[pgx.Tx]

	// jobs is its table.
	jobs string
}

// known returns the queue, for which the database is asked once: a database may hold several installations, each with
// its own queue.
func (r *Runner) known(ctx context.Context, db migrations.Querier) (*queue, error) {
	if q := r.queue.Load(); q != nil {
		return q, nil
	}
	schema, err := migrations.QueueSchema(ctx, db)
	if err != nil {
		return nil, err
	}
	client, err := r.clientFor(schema)
	if err != nil {
		return nil, err
	}
	r.queue.CompareAndSwap(nil, &queue{client, schema + ".river_job"})
	return r.queue.Load(), nil
}
