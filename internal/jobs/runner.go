package jobs

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/migrations"
)

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
