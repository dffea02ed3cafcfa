package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

type cleanupCmd struct {
	databaseSettings
	retentionSettings
	logSettings
	auditSettings

	DryRun bool `help:"Count what would be removed, and remove nothing."`
	JSON   bool `name:"json" help:"Print JSON."`
}

// Help says what the command is for.
func (*cleanupCmd) Help() string {
	return "Removes sessions that expired or were revoked more than CLEANUP_RETENTION ago, and those older than CLEANUP_SESSION_MAX_AGE, " +
		"in small batches beside the running service. The service does it by itself every CLEANUP_INTERVAL. Interrupted, it loses nothing: the next run goes on."
}

// Validate checks the settings.
func (c *cleanupCmd) Validate() error { return c.check() }

// Run removes the sessions, shows progress to a person, and prints what it did.
func (c *cleanupCmd) Run(a *app) error {
	log := c.newLogger(a.stderr)
	return c.byOperator(a, log, func(ctx context.Context, t trail) error {
		return c.withStore(ctx, log, func(store *sessionstore.Store) error {
			cfg := c.cleanup()
			cfg.DryRun = c.DryRun
			if isTerminal(a.stderr) {
				cfg.Progress = func(s cleanup.Summary) { _, _ = fmt.Fprintf(a.stderr, "\r%d removed", s.Sessions()) }
				defer func() { _, _ = fmt.Fprintln(a.stderr) }()
			}
			summary, err := cleanup.Run(ctx, store, cfg)
			t.cleaned(ctx, summary)
			return errors.Join(err, c.print(a, summary))
		})
	})
}

// print tells what was done, also of a run that failed or was interrupted.
func (c *cleanupCmd) print(a *app, s cleanup.Summary) error {
	if c.JSON {
		return a.printJSON(struct {
			DryRun  bool    `json:"dry_run"`
			Expired int64   `json:"expired"`
			Revoked int64   `json:"revoked"`
			Aged    int64   `json:"aged"`
			Pairs   int64   `json:"superfluous"`
			Batches int     `json:"batches"`
			Seconds float64 `json:"seconds"`
		}{s.DryRun, s.Expired, s.Revoked, s.Aged, s.Superfluous, s.Batches, s.Duration.Seconds()})
	}
	did := "removed"
	if s.DryRun {
		did = "would remove"
	}
	pairs := ""
	if s.Superfluous > 0 {
		pairs = fmt.Sprintf(", and %d superfluous token pairs of sessions of Compas,", s.Superfluous)
	}
	_, err := fmt.Fprintf(a.stdout, "%s %d expired, %d revoked and %d aged sessions%s in %v\n",
		did, s.Expired, s.Revoked, s.Aged, pairs, s.Duration.Round(time.Millisecond))
	return err
}
