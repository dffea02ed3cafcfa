package jobs

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// quiet logs at debug what the queue logs at info, such as its counts; and every failure because the queue is
// stopping or the database is unreachable.
type quiet struct {
	slog.Handler
	stopping *atomic.Bool
	outage   *outage
}

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return q.Handler.Enabled(ctx, q.quieter(level))
}

func (q quiet) Handle(ctx context.Context, record slog.Record) error {
	if record.Level = q.quieter(record.Level); record.Level >= slog.LevelWarn && q.outage.explains(ctx) {
		record.Level = slog.LevelDebug
	}
	if !q.Handler.Enabled(ctx, record.Level) {
		return nil
	}
	return q.Handler.Handle(ctx, record)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.stopping, q.outage}
}

func (q quiet) WithGroup(name string) slog.Handler {
	return quiet{q.Handler.WithGroup(name), q.stopping, q.outage}
}

func (q quiet) quieter(level slog.Level) slog.Level {
	if level == slog.LevelInfo || q.stopping.Load() {
		return slog.LevelDebug
	}
	return level
}

// failures logs and counts jobs that failed. They are retried, so it is a warning until the last attempt.
type failures struct {
	log      *slog.Logger
	observer Observer
}

func (f failures) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	level, last := slog.LevelWarn, job.Attempt >= job.MaxAttempts
	if last {
		level = slog.LevelError
	}
	f.observer.JobFailed(job.Kind, last)
	f.log.Log(ctx, level, "a job failed", "job", job.Kind, "attempt", job.Attempt, "of", job.MaxAttempts, "error", err)
	return nil
}

func (f failures) HandlePanic(ctx context.Context, job *rivertype.JobRow, value any, trace string) *river.ErrorHandlerResult {
	f.observer.JobFailed(job.Kind, job.Attempt >= job.MaxAttempts)
	f.log.ErrorContext(ctx, "a job panicked", "job", job.Kind, "attempt", job.Attempt, "panic", value, "trace", trace)
	return nil
}
