package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/primary"
)

const (
	// reachTimeout is for one attempt to reach the database.
	reachTimeout = 5 * time.Second
	// reachPause is between two attempts.
	reachPause = time.Second
	// settleTime is how long after an outage the queue may still find out about it.
	settleTime = 10 * time.Second
)

// outage logs once that the database is unreachable, and once that it is back. Each part of the queue would log it
// separately, again and again.
type outage struct {
	log  *slog.Logger
	pool *pgxpool.Pool

	mu    sync.Mutex
	since time.Time // zero while the database is reachable
	until time.Time // when it was last unreachable
	// began wakes run. It has room for the one outage that may be under way.
	began chan error
}

func newOutage(log *slog.Logger, pool *pgxpool.Pool) *outage {
	return &outage{log: log, pool: pool, began: make(chan error, 1)}
}

// explains reports whether an error occurred because the database is unreachable, which it checks.
func (o *outage) explains(ctx context.Context) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() || time.Since(o.until) < settleTime {
		return true
	}
	err := o.reach(context.WithoutCancel(ctx))
	if err == nil {
		return false
	}
	o.since = time.Now()
	o.began <- err
	return true
}

// reach makes a separate connection: a pool without a free one is not an outage.
func (o *outage) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	conn, err := primary.Beside(ctx, o.pool, reachTimeout)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// run logs when the database becomes unreachable and when it is back, until ctx ends.
func (o *outage) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-o.began:
			o.log.ErrorContext(ctx, "the database is away", "error", err)
		}
		for o.reach(ctx) != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(reachPause):
			}
		}
		o.mu.Lock()
		away := time.Since(o.since)
		o.since, o.until = time.Time{}, time.Now()
		o.mu.Unlock()
		o.log.InfoContext(ctx, "the database is back", "away_seconds", float64(away.Milliseconds())/1000)
	}
}
