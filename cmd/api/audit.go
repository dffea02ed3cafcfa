package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// trail is what AUDIT_LOG asks for, or nothing: then nothing is recorded, at no cost.
type trail struct{ *audit.Log }

// while gives use the trail, and writes what is recorded until use has returned.
func (s auditSettings) while(
	ctx context.Context, stdout io.Writer, log *slog.Logger, origin func(context.Context) audit.Origin, use func(trail) error,
) error {
	cfg := audit.Config{Output: stdout, Origin: origin, Logger: log}
	switch s.AuditLog {
	case auditNone, "":
		return use(trail{})
	case auditStdout:
	default:
		file, err := audit.OpenFile(string(s.AuditLog))
		if err != nil {
			return fmt.Errorf("AUDIT_LOG: %w", err)
		}
		defer func() { _ = file.Close() }() // each line has been written
		cfg.Output = file
	}
	events, err := audit.New(cfg)
	if err != nil {
		return err
	}
	// Until after the end of all that may record something, and not until the signal that ends it.
	recording, stop := context.WithCancel(context.WithoutCancel(ctx))
	written := make(chan error, 1)
	go func() { written <- events.Run(recording) }()
	err = use(trail{events})
	stop()
	return cmp.Or(err, <-written)
}

// byOperator is while for a command: somebody at a command line acts. Standard output is for what a command prints, so
// events that are to go there go to standard error.
func (s auditSettings) byOperator(a *app, log *slog.Logger, use func(context.Context, trail) error) error {
	return s.while(a.ctx, a.stderr, log, nil, func(t trail) error {
		return use(audit.WithOrigin(a.ctx, audit.Origin{Actor: audit.Actor{Type: audit.Operator, ID: operatorName()}}), t)
	})
}

// operatorName is user@host, as far as the machine knows.
func operatorName() string {
	name := fmt.Sprintf("uid %d", os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}

func (t trail) sessions(others ...sessionstore.Observer) []sessionstore.Observer {
	if t.Log == nil {
		return others
	}
	return append(others, t.Sessions())
}

// record does nothing where there is no trail.
func (t trail) record(ctx context.Context, e audit.Event) {
	if t.Log != nil {
		t.Record(ctx, e)
	}
}

// cleaned records the sessions that clean-up ended.
func (t trail) cleaned(ctx context.Context, s cleanup.Summary) {
	if s.Aged > 0 && !s.DryRun {
		t.record(ctx, audit.Event{Name: audit.SessionsRemoved, Count: s.Aged, Reason: audit.MaxAge})
	}
}

// jobs tells the trail what the next observer is told too.
func (t trail) jobs(next jobs.Observer) jobs.Observer {
	if t.Log == nil {
		return next
	}
	return auditedJobs{next, t}
}

type auditedJobs struct {
	jobs.Observer
	trail trail
}

// Cleaned is called after a run of cleanup, or a leg of one, by the service itself.
func (o auditedJobs) Cleaned(summary cleanup.Summary, err error) {
	o.trail.cleaned(context.Background(), summary)
	o.Observer.Cleaned(summary, err)
}
