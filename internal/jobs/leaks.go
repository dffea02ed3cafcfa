package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/latchkey-sessions/latchkey/internal/webhook"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// Reports must not wait for a long cleanup, nor the log for a hanging webhook: each has its own queue.
	leakLogQueue   = "leaks"
	leakLogWorkers = 4
	// leakLogPoll is short: of jobs that arrive together, the queue notifies only for the first, and the others would
	// wait this long.
	leakLogPoll        = 500 * time.Millisecond
	leakWebhookQueue   = "leak_webhooks"
	leakWebhookWorkers = 4

	leakLogPause = time.Second

	webhookTimeout = 10 * time.Second // below jobTimeout
)

// Enqueue puts a report into the queue, in the caller's transaction. The report is then logged, and delivered to the
// webhook if there is one, at least once each, whatever happens to this process.
func (r *Runner) Enqueue(ctx context.Context, tx pgx.Tx, report sessionstore.LeakReport) error {
	err := leakInserter{r}.Enqueue(ctx, tx, report)
	if err != nil {
		r.log.ErrorContext(ctx, "the report of a stolen refresh token cannot be enqueued: it is kept with its session, and tried again",
			"session_id", report.SessionID, "error", err)
	}
	return err
}

// The queue writes when a job is due by this process's clock, and checks by the database's whether it is. A report
// must not wait for as long as the database's clock is behind.
const dueAtOnceQuery = `SET "scheduled_at" = LEAST("scheduled_at", now()) WHERE "id" = ANY($1)`

// leakInserter is the queue of a [Runner] without its log.
type leakInserter struct{ *Runner }

// Enqueue implements [sessionstore.LeakQueue].
func (r leakInserter) Enqueue(ctx context.Context, tx pgx.Tx, report sessionstore.LeakReport) error {
	jobs := []river.InsertManyParams{{Args: leakLogArgs{report}}}
	if r.webhook {
		jobs = append(jobs, river.InsertManyParams{Args: leakWebhookArgs{report}})
	}
	q, err := r.known(ctx, tx)
	if err != nil {
		return err
	}
	inserted, err := q.InsertManyTx(ctx, tx, jobs)
	if err != nil {
		return err
	}
	ids := make([]int64, len(inserted))
	for i, result := range inserted {
		ids[i] = result.Job.ID
	}
	_, err = tx.Exec(ctx, `UPDATE `+q.jobs+` `+dueAtOnceQuery, ids)
	return err
}

// leakLogArgs and leakWebhookArgs are two jobs, so that a webhook that is down does not make a report be logged
// repeatedly.
type leakLogArgs struct {
	Report sessionstore.LeakReport `json:"report"`
}

// Kind names the job in its row.
func (leakLogArgs) Kind() string { return "leak_log" }

// InsertOpts says how the job is queued.
func (leakLogArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: leakLogQueue} }

type leakLogWorker struct {
	river.WorkerDefaults[leakLogArgs]
	log *slog.Logger
}

// NextRetry is soon: only an interruption can keep a report out of the log.
func (*leakLogWorker) NextRetry(*river.Job[leakLogArgs]) time.Time {
	return time.Now().Add(leakLogPause)
}

// Work logs the report.
func (w *leakLogWorker) Work(ctx context.Context, job *river.Job[leakLogArgs]) error {
	w.log.LogAttrs(ctx, slog.LevelWarn, "a refresh token was stolen: its session is revoked", slog.Any("leak", job.Args.Report))
	return nil
}

type leakWebhookArgs struct {
	Report sessionstore.LeakReport `json:"report"`
}

// Kind names the job in its row.
func (leakWebhookArgs) Kind() string { return "leak_webhook" }

// InsertOpts says how the job is queued.
func (leakWebhookArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: leakWebhookQueue, MaxAttempts: webhook.MostAttempts}
}

type leakWebhookWorker struct {
	river.WorkerDefaults[leakWebhookArgs]
	url    string
	secret func() (tokens.Secret, error) // nil: there is no webhook
	client *webhook.Client
}

func newLeakWebhookWorker(cfg Webhook, timeout time.Duration) (*leakWebhookWorker, error) {
	w := &leakWebhookWorker{url: cfg.URL, client: webhook.New(timeout, leakWebhookWorkers)}
	if cfg.URL == "" {
		return w, nil
	}
	if webhook.CheckSecret(cfg.Secret) != nil {
		return nil, errors.New("jobs: the webhook's secret is not base64")
	}
	w.secret = func() (tokens.Secret, error) { return cfg.Secret, nil }
	if cfg.Again != nil {
		w.secret = cfg.Again
	}
	return w, nil
}

// NextRetry is the backoff, or as long as the webhook requests.
func (w *leakWebhookWorker) NextRetry(job *river.Job[leakWebhookArgs]) time.Time {
	return time.Now().Add(max(webhook.Pause(job.Attempt), w.client.Rests()))
}

// leakRefusal is the output of an attempt that failed, for [overdueQuery].
type leakRefusal struct {
	RetryAfterSeconds float64 `json:"retry_after_seconds"`
}

// leakEvent is the body of a delivery, in the shape that the Standard Webhooks specification recommends.
type leakEvent struct {
	Type      string                  `json:"type"`
	Timestamp time.Time               `json:"timestamp"`
	Data      sessionstore.LeakReport `json:"data"`
}

// Work delivers the report once. The webhook-id is the report's, the same at each attempt.
func (w *leakWebhookWorker) Work(ctx context.Context, job *river.Job[leakWebhookArgs]) error {
	if w.secret == nil {
		return errors.New("there is no webhook to deliver to: LATCHKEY_LEAK_WEBHOOK_URL is no longer set")
	}
	if left := w.client.Rests(); left > 0 {
		return river.JobSnooze(left) // which does not count as an attempt
	}
	report := job.Args.Report
	body, err := json.Marshal(leakEvent{Type: "session.leaked", Timestamp: report.DetectedAt, Data: report})
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	secret, err := w.secret()
	if err != nil {
		return fmt.Errorf("read the webhook's secret again: %w", err)
	}
	// The database has recorded when the attempt began.
	if err := w.client.Send(ctx, w.url, secret, webhook.Message{ID: report.ID, At: *job.AttemptedAt, Body: body}); err != nil {
		_ = river.RecordOutput(ctx, leakRefusal{webhook.RetryAfter(err).Seconds()}) // it fails only outside of workers
		return fmt.Errorf("the webhook %w", err)
	}
	return nil
}
