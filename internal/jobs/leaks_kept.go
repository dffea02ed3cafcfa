package jobs

import (
	"context"
	"time"
)

// keptLeaksInterval is how often to look for reports that could not be enqueued when their sessions were revoked. If
// there are none, that costs a lookup in an empty index.
const keptLeaksInterval = 15 * time.Second

// followKeptLeaks does later what [Runner.Enqueue] could not do, until ctx ends. It does not use a job: the queue
// may be what is broken.
func (r *Runner) followKeptLeaks(ctx context.Context) {
	ticker := time.NewTicker(keptLeaksInterval)
	defer ticker.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, jobTimeout)
		n, err := r.kept.EnqueueKeptLeaks(limited, leakInserter{r})
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.quiet.WarnContext(ctx, "cannot enqueue the reports of stolen refresh tokens that wait in their sessions' rows yet", "error", err)
		case n > 0:
			r.log.InfoContext(ctx, "reports of stolen refresh tokens that waited in their sessions' rows are enqueued", "reports", n)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
