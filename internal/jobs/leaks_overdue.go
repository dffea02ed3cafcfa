package jobs

import (
	"context"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/webhook"
)

// overdueInterval is how often to look for reports that the queue leaves waiting for too long. If there are none, that
// costs an index lookup.
const overdueInterval = 5 * time.Second

// The queue writes by one replica's clock when to retry a job, and determines by another's what is due, or was
// interrupted. This uses only the database's clock, which recorded when each attempt began: the next one is overdue
// after the maximum time of an attempt plus the pause, or plus what the webhook requested. A report postponed by an
// earlier such request is overdue after the longest one. A job that still runs after rescueAfter counts as ended,
// whether or not its replica lives.
const overdueQuery = `
SET "state" = 'available', "scheduled_at" = now()
WHERE "state" IN ('available', 'retryable', 'scheduled', 'running') AND "queue" = ANY($1) AND "attempt" < "max_attempts" AND (
  ("state" = 'retryable' OR "state" = 'available' AND "scheduled_at" > now())
    AND "attempted_at" + ($2 + CASE "queue" WHEN $3 THEN GREATEST(LEAST($4, $5 * 2 ^ LEAST("attempt" - 1, 10)), ("metadata"->'output'->>'retry_after_seconds')::float) ELSE $6 END) * interval '1 second' < now()
  OR "state" = 'scheduled' AND "attempted_at" < now() - ($2 + $4) * interval '1 second'
  OR "state" = 'running' AND "attempted_at" < now() - $7 * interval '1 second')`

// followOverdue makes sure that reports are processed in time, whatever the replicas' clocks show,
// until ctx ends.
func (r *Runner) followOverdue(ctx context.Context) {
	ticker := time.NewTicker(r.overdue)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		limited, cancel := context.WithTimeout(ctx, jobTimeout)
		q, err := r.known(limited, r.pool)
		if err == nil {
			_, err = r.pool.Exec(limited, `UPDATE `+q.jobs+overdueQuery, []string{leakLogQueue, leakWebhookQueue},
				webhookTimeout.Seconds(), leakWebhookQueue, webhook.LastPause.Seconds(), webhook.FirstPause.Seconds(), leakLogPause.Seconds(), rescueAfter.Seconds())
		}
		cancel()
		if err != nil && ctx.Err() == nil {
			r.quiet.WarnContext(ctx, "cannot look for overdue reports of stolen refresh tokens", "error", err)
		}
	}
}
