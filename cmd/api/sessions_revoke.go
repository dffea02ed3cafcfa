package main

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

type sessionsRevokeCmd struct {
	databaseSettings
	logSettings

	IDs     []uuid.UUID `arg:"" optional:"" name:"id" help:"Sessions to end."`
	Subject string      `placeholder:"ID" help:"End all sessions of this subject instead."`
}

// Validate wants one of the two ways to say which sessions.
func (c *sessionsRevokeCmd) Validate() error {
	if (len(c.IDs) == 0) == (c.Subject == "") {
		return errors.New("either session ids or --subject must say which sessions to end")
	}
	return nil
}

// Run ends the sessions. It goes on after one that does not exist, and fails in the end.
func (c *sessionsRevokeCmd) Run(a *app) error {
	return c.withStore(a.ctx, c.newLogger(a.stderr), func(store *sessionstore.Store) error {
		if c.Subject != "" {
			n, err := store.InvalidateSubject(a.ctx, c.Subject, uuid.Nil)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "revoked %d %s\n", n, plural(n, "session"))
			return err
		}
		var failures []error
		for _, id := range c.IDs {
			if err := store.Invalidate(a.ctx, id); err != nil {
				failures = append(failures, fmt.Errorf("session %s: %w", id, err))
				continue
			}
			_, _ = fmt.Fprintln(a.stdout, "revoked", id)
		}
		return errors.Join(failures...)
	})
}

func plural(n int64, thing string) string {
	if n == 1 {
		return thing
	}
	return thing + "s"
}
