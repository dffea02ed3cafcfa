package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/trail"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

type sessionsRevokeCmd struct {
	settings.Database
	settings.Log
	settings.Audit

	IDs     []uuid.UUID `arg:"" optional:"" name:"id" help:"Sessions to end."`
	Subject string      `placeholder:"ID" help:"End all sessions of this subject instead."`
	All     bool        `help:"End all users' sessions instead; needs --yes."`
	Each    bool        `help:"With --all: change each session's row as well."`
	Yes     bool        `help:"Confirm that all users' sessions end."`
}

// Help says what follows.
func (*sessionsRevokeCmd) Help() string {
	return "Ends sessions at once: no refresh succeeds from then on, and within LATCHKEY_REVOCATION_BOUND no access token is accepted. " +
		"Their users have to sign in again. --all ends all sessions that exist at once, however many there are: by one row. With events " +
		"(LATCHKEY_EVENTS_FILE) or --each it then changes their rows too, a thousand at a time while the service runs; after an " +
		"interruption, run it again to continue. Use --each while replicas of an earlier release are running, or Compas."
}

// Validate requires one way of selecting sessions.
func (c *sessionsRevokeCmd) Validate() error {
	ways := 0
	for _, way := range []bool{len(c.IDs) > 0, c.Subject != "", c.All} {
		if way {
			ways++
		}
	}
	switch {
	case ways != 1:
		return errors.New("name the sessions to end by their ids, --subject or --all")
	case c.All && !c.Yes:
		return errors.New("--all signs all users out; confirm with --yes")
	case c.Each && !c.All:
		return errors.New("--each is only for --all")
	}
	return nil
}

// Run ends the sessions.
func (c *sessionsRevokeCmd) Run(a *app) error {
	log := c.NewLogger(a.stderr)
	return byOperator(a, c.Audit, log, func(ctx context.Context, t trail.Trail) error {
		return withSessions(ctx, c.Database, log, func(store sessions) error {
			switch {
			case c.All:
				return a.revokeAll(ctx, log, store, c.Each)
			case c.Subject != "":
				n, err := store.InvalidateSubject(ctx, c.Subject, uuid.Nil, endedBy(sessionstore.ReasonOperator))
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(a.stdout, "revoked %d %s\n", n, plural(n, "session"))
				return err
			}
			return a.revoke(ctx, store, c.IDs)
		}, t.Sessions()...)
	})
}

// endedBy is the cause for sessions that an operator ends.
func endedBy(reason sessionstore.Reason) sessionstore.Cause {
	return sessionstore.Cause{Reason: reason, By: operatorName()}
}

// revoke continues after a session that does not exist, and fails in the end.
func (a *app) revoke(ctx context.Context, store sessions, ids []uuid.UUID) error {
	var failures []error
	for _, id := range ids {
		if err := store.Invalidate(ctx, id, endedBy(sessionstore.ReasonOperator)); err != nil {
			failures = append(failures, fmt.Errorf("session %s: %w", id, err))
			continue
		}
		_, _ = fmt.Fprintln(a.stdout, "revoked", id)
	}
	return errors.Join(failures...)
}

// revokeAll signs everyone out. Where rows are changed as well, it shows its progress, and what it did
// even if it was interrupted.
func (a *app) revokeAll(ctx context.Context, log *slog.Logger, store sessions, each bool) error {
	began := time.Now()
	if err := store.SignOutAll(ctx, endedBy(sessionstore.ReasonAllSignedOut)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "signed everyone out in %v\n", time.Since(began).Round(time.Millisecond))
	if err == nil && !each {
		each, err = store.TellsEvents(ctx)
	}
	if err != nil || !each {
		return err
	}
	began = time.Now()
	at, end, err := a.progress("sessions revoked", func() (int64, error) { return store.EstimateLive(ctx) }, func(n int64) {
		log.InfoContext(ctx, "revoking all sessions", "revoked", n)
	})
	if err != nil {
		return err
	}
	n, err := store.RevokeSignedOut(ctx, at)
	end()
	_, printed := fmt.Fprintf(a.stdout, "revoked %d %s in %v\n", n, plural(n, "session"), time.Since(began).Round(time.Millisecond))
	return errors.Join(err, printed)
}
