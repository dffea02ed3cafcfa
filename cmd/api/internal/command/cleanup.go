package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/trail"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

type cleanupCmd struct {
	settings.Database
	settings.Retention
	settings.Log
	settings.Audit

	DryRun bool `help:"Count what would be removed, and remove nothing."`
	JSON   bool `name:"json" help:"Print JSON."`
}

// Help says what the command is for.
func (*cleanupCmd) Help() string {
	return "Removes sessions that expired or were revoked more than LATCHKEY_CLEANUP_RETENTION ago, and ends those older than LATCHKEY_CLEANUP_SESSION_MAX_AGE, " +
		"in small batches while the service runs. The service does this automatically every LATCHKEY_CLEANUP_INTERVAL. An interruption loses nothing: the next run continues."
}

// Validate checks the settings.
func (c *cleanupCmd) Validate() error { return c.Check() }

// Run removes the sessions, shows progress, and prints what it did.
func (c *cleanupCmd) Run(a *app) error {
	log := c.NewLogger(a.stderr)
	return byOperator(a, c.Audit, log, func(ctx context.Context, t trail.Trail) error {
		return a.eachStore(ctx, c.Database, log, sessionstore.Config{}, func(store *sessionstore.Store) error {
			cfg := c.Cleanup()
			cfg.DryRun = c.DryRun
			end, err := c.show(ctx, a, log, store, &cfg)
			if err != nil {
				return err
			}
			summary, err := cleanup.Run(ctx, store, cfg)
			end()
			t.Cleaned(ctx, summary)
			return errors.Join(err, c.print(a, summary))
		})
	})
}

// show shows the progress. The function that it returns removes it.
func (c *cleanupCmd) show(ctx context.Context, a *app, log *slog.Logger, store *sessionstore.Store, cfg *cleanup.Config) (end func(), err error) {
	if c.DryRun {
		return func() {}, nil
	}
	due := func() (int64, error) {
		dry := *cfg
		dry.DryRun = true
		due, err := cleanup.Run(ctx, store, dry)
		return due.Pairs, err
	}
	var last cleanup.Summary
	at, end, err := a.progress("token pairs removed", due, func(int64) { log.InfoContext(ctx, "cleaning up", slog.Any("", last)) })
	cfg.Progress = func(s cleanup.Summary) {
		last = s
		at(s.Pairs)
	}
	return end, err
}

// print prints what was done, even of a run that failed or was
// interrupted.
func (c *cleanupCmd) print(a *app, s cleanup.Summary) error {
	if c.JSON {
		return a.printJSON(struct {
			DryRun  bool  `json:"dry_run"`
			Expired int64 `json:"expired"`
			Revoked int64 `json:"revoked"`
			Aged    int64 `json:"aged"`
			// Superfluous are the token pairs that were removed without
			// their session.
			Superfluous int64   `json:"superfluous"`
			Sessions    int64   `json:"sessions"`
			Pairs       int64   `json:"pairs"`
			Batches     int     `json:"batches"`
			Seconds     float64 `json:"seconds"`
			OldestLeft  string  `json:"oldest_left,omitempty"`
		}{s.DryRun, s.Expired, s.Revoked, s.Aged, s.Superfluous, s.Sessions, s.Pairs, s.Batches, s.Duration.Seconds(), formatTime(s.OldestLeft)})
	}
	did, ended := "removed", "ended"
	if s.DryRun {
		did, ended = "would remove", "would end"
	}
	aged := ""
	if s.Aged > 0 {
		aged = fmt.Sprintf(", %s %d for their age", ended, s.Aged)
	}
	alone := ""
	if s.Superfluous > 0 {
		alone = fmt.Sprintf(" (%d of Compas by themselves)", s.Superfluous)
	}
	_, err := fmt.Fprintf(a.stdout, "%s %d sessions (%d expired, %d revoked) and %d token pairs%s in %d batches%s, %v\n",
		did, s.Sessions, s.Expired, s.Revoked, s.Pairs, alone, s.Batches, aged, s.Duration.Round(time.Millisecond))
	if err == nil && !s.OldestLeft.IsZero() {
		_, err = fmt.Fprintf(a.stdout, "oldest left: ended %s, %v ago\n", formatTime(s.OldestLeft), time.Since(s.OldestLeft).Round(time.Second))
	}
	return err
}
