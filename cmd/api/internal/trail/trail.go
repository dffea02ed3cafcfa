// Package trail is the audit trail that LATCHKEY_AUDIT_LOG requests.
package trail

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Trail is the trail that LATCHKEY_AUDIT_LOG requests, or none: then nothing is recorded, at
// no cost.
type Trail struct{ *audit.Log }

// While passes the trail to use, and writes what is recorded until use has returned.
func While(
	ctx context.Context, s settings.Audit, stdout io.Writer, log *slog.Logger, origin func(context.Context) audit.Origin, use func(Trail) error,
) error {
	cfg := audit.Config{Output: stdout, Origin: origin, Logger: log}
	switch s.AuditLog {
	case settings.AuditNone, "":
		return use(Trail{})
	case settings.AuditStdout:
	default:
		file, err := audit.OpenFile(string(s.AuditLog))
		if err != nil {
			return fmt.Errorf("LATCHKEY_AUDIT_LOG: %w", err)
		}
		defer func() { _ = file.Close() }() // each line has been written
		cfg.Output = file
	}
	events, err := audit.New(cfg)
	if err != nil {
		return err
	}
	// Recording must outlast everything that may record, not just last until the signal that ends
	// it.
	recording, stop := context.WithCancel(context.WithoutCancel(ctx))
	written := make(chan error, 1)
	go func() { written <- events.Run(recording) }()
	err = use(Trail{events})
	stop()
	return cmp.Or(err, <-written)
}

// Sessions are the observers of sessions with the trail, if there is one.
func (t Trail) Sessions(others ...sessionstore.Observer) []sessionstore.Observer {
	if t.Log == nil {
		return others
	}
	return append(others, t.Log.Sessions())
}

// Record does nothing without a trail.
func (t Trail) Record(ctx context.Context, e audit.Event) {
	if t.Log != nil {
		t.Log.Record(ctx, e)
	}
}

// Cleaned records the sessions that cleanup ended.
func (t Trail) Cleaned(ctx context.Context, s cleanup.Summary) {
	if s.Aged > 0 && !s.DryRun {
		t.Record(ctx, audit.Event{Name: audit.SessionsRemoved, Count: s.Aged, Reason: audit.MaxAge})
	}
}

// Jobs returns an observer that records to the trail and passes everything on to the next one.
func (t Trail) Jobs(next jobs.Observer) jobs.Observer {
	if t.Log == nil {
		return next
	}
	return auditedJobs{next, t}
}

type auditedJobs struct {
	jobs.Observer
	trail Trail
}

// Cleaned is called after a run of cleanup, or a leg of one, by the service itself.
func (o auditedJobs) Cleaned(summary cleanup.Summary, err error) {
	o.trail.Cleaned(context.Background(), summary)
	o.Observer.Cleaned(summary, err)
}
