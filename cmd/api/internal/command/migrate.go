package command

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/internal/shards"
	"github.com/latchkey-sessions/latchkey/migrations"
)

type migrateUpCmd struct {
	settings.Database
	settings.Log

	DryRun bool `help:"Print what would run, and change nothing."`
}

// Help says what the command does to a running service.
func (*migrateUpCmd) Help() string {
	return "The service keeps running: no step waits for a lock longer than a moment, and each is tried again for ten minutes. " +
		"After an interruption, run it again to continue. It needs a connection to PostgreSQL itself, not to PgBouncer."
}

// Run prints a line for each migration that it ran.
func (c *migrateUpCmd) Run(a *app) error {
	if c.DryRun {
		if err := notSharded(c.Database, "migrate up --dry-run"); err != nil {
			return err
		}
	}
	return database.WithDirect(a.ctx, c.Database, c.NewLogger(a.stderr), func(pool *pgxpool.Pool) error {
		if c.DryRun {
			steps, err := migrations.PlanUp(a.ctx, pool)
			if err != nil {
				return err
			}
			return printSteps(a, "would run", steps)
		}
		if err := a.migrate(pool, ""); err != nil {
			return err
		}
		return eachFurther(a.ctx, c.Database, func(u settings.ShardURL, shard *pgxpool.Pool) error {
			if err := a.migrate(shard, " of the shard "+u.Name); err != nil {
				return err
			}
			entry, isNew, err := shards.Register(a.ctx, pool, shard, u.Name)
			if err == nil && isNew {
				_, err = fmt.Fprintf(a.stdout, "added the shard %s with the number %d\n", entry.Name, entry.Number)
			}
			return err
		})
	})
}

// migrate migrates one database, and prints the result.
func (a *app) migrate(pool *pgxpool.Pool, of string) error {
	applied, err := migrations.Up(a.ctx, pool)
	for _, m := range applied {
		_, _ = fmt.Fprintf(a.stdout, "migrated %s in %v\n", m.Name, m.Duration.Round(time.Millisecond))
	}
	if err == nil && len(applied) == 0 {
		_, err = fmt.Fprintf(a.stdout, "the database schema%s is up to date\n", of)
	}
	return err
}

// printSteps prints each migration under a comment, so that the output is SQL.
func printSteps(a *app, would string, steps []migrations.Step) error {
	if len(steps) == 0 {
		_, err := fmt.Fprintf(a.stdout, "%s nothing\n", would)
		return err
	}
	for i, step := range steps {
		if i > 0 {
			_, _ = fmt.Fprintln(a.stdout)
		}
		if _, err := fmt.Fprintf(a.stdout, "-- %s %s\n\n%s", would, step.Name, step.SQL); err != nil {
			return err
		}
	}
	return nil
}

type migrateStatusCmd struct {
	settings.Database
	settings.Log

	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints a line for each migration that this program knows, or that the database has.
func (c *migrateStatusCmd) Run(a *app) error {
	if err := notSharded(c.Database, "migrate status"); err != nil {
		return err
	}
	return database.WithDirect(a.ctx, c.Database, c.NewLogger(a.stderr), func(pool *pgxpool.Pool) error {
		list, err := migrations.List(a.ctx, pool)
		if err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(migrationsJSON(list))
		}
		return printTable(a.stdout, []string{"MIGRATION", "APPLIED"}, list, func(m migrations.Status) []string {
			return []string{m.Name, cmp.Or(formatTime(m.AppliedAt), "pending")}
		})
	})
}

func migrationsJSON(list []migrations.Status) any {
	type migration struct {
		Version   int64  `json:"version"`
		Name      string `json:"name"`
		AppliedAt string `json:"applied_at,omitempty"`
		JobQueue  bool   `json:"job_queue,omitempty"`
		Newer     bool   `json:"newer,omitempty"`
	}
	out := make([]migration, len(list))
	for i, m := range list {
		out[i] = migration{m.Version, m.Name, formatTime(m.AppliedAt), m.JobQueue, m.Newer}
	}
	return map[string]any{"migrations": out}
}

type migrateDownCmd struct {
	settings.Database
	settings.Log

	To     *int64 `name:"to" placeholder:"VERSION" help:"Undo all migrations newer than this one, such as 4. By default only the newest."`
	DryRun bool   `help:"Print what would run, and change nothing."`
	Yes    bool   `name:"yes" help:"Confirm that the data held by the migrations is deleted."`
}

// Validate asks for the confirmation.
func (c *migrateDownCmd) Validate() error {
	switch {
	case c.To != nil && *c.To < 0:
		return settings.Wrong("--to", strconv.FormatInt(*c.To, 10), "a version that `api migrate status` lists, or 0")
	case !c.DryRun && !c.Yes:
		return settings.WrongTogether("migrate down deletes the data that the migration holds: confirm with --yes, or look at it with --dry-run")
	}
	return nil
}

// Run reverts migrations, the newest first, and prints a line for each.
func (c *migrateDownCmd) Run(a *app) error {
	if err := notSharded(c.Database, "migrate down"); err != nil {
		return err
	}
	return database.WithDirect(a.ctx, c.Database, c.NewLogger(a.stderr), func(pool *pgxpool.Pool) error {
		steps, err := c.plan(a.ctx, pool)
		if err != nil {
			return err
		}
		switch {
		case c.DryRun:
			return printSteps(a, "would undo", steps)
		case len(steps) == 0:
			_, err = fmt.Fprintln(a.stdout, "there is nothing to undo")
			return err
		}
		for range steps {
			m, err := migrations.Down(a.ctx, pool)
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(a.stdout, "undid %s in %v\n", m.Name, m.Duration.Round(time.Millisecond))
		}
		return nil
	})
}

func (c *migrateDownCmd) plan(ctx context.Context, pool *pgxpool.Pool) ([]migrations.Step, error) {
	if c.To != nil {
		return migrations.PlanDown(ctx, pool, *c.To)
	}
	steps, err := migrations.PlanDown(ctx, pool, 0)
	return steps[:min(1, len(steps))], err
}
