package main

import (
	"cmp"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/migrations"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" default:"withargs" help:"Run the migrations that are pending."`
	Status migrateStatusCmd `cmd:"" help:"List the migrations and when each was run."`
	Down   migrateDownCmd   `cmd:"" help:"Take back the newest migration, with the data that it holds."`
}

type migrateUpCmd struct {
	databaseSettings
	logSettings
}

// Run prints a line for each migration that it ran.
func (c *migrateUpCmd) Run(a *app) error {
	return c.withDatabase(a.ctx, c.newLogger(a.stderr), func(pool *pgxpool.Pool) error {
		applied, err := migrations.Up(a.ctx, pool)
		for _, m := range applied {
			_, _ = fmt.Fprintf(a.stdout, "migrated %s in %v\n", m.Name, m.Duration.Round(time.Millisecond))
		}
		if err == nil && len(applied) == 0 {
			_, err = fmt.Fprintln(a.stdout, "the database schema is up to date")
		}
		return err
	})
}

type migrateStatusCmd struct {
	databaseSettings
	logSettings

	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints a line for each migration that this program knows.
func (c *migrateStatusCmd) Run(a *app) error {
	return c.withDatabase(a.ctx, c.newLogger(a.stderr), func(pool *pgxpool.Pool) error {
		list, err := migrations.List(a.ctx, pool)
		if err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(migrationsJSON(list))
		}
		table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "MIGRATION\tAPPLIED")
		for _, m := range list {
			_, _ = fmt.Fprintf(table, "%s\t%s\n", m.Name, cmp.Or(formatTime(m.AppliedAt), "pending"))
		}
		return table.Flush()
	})
}

func migrationsJSON(list []migrations.Status) any {
	type migration struct {
		Version   int64  `json:"version"`
		Name      string `json:"name"`
		AppliedAt string `json:"applied_at,omitempty"`
	}
	out := make([]migration, len(list))
	for i, m := range list {
		out[i] = migration{m.Version, m.Name, formatTime(m.AppliedAt)}
	}
	return map[string]any{"migrations": out}
}

type migrateDownCmd struct {
	databaseSettings
	logSettings

	LoseData bool `name:"lose-data" required:"" help:"Confirm that the data which the newest migration holds is deleted."`
}

// Run takes one migration back.
func (c *migrateDownCmd) Run(a *app) error {
	return c.withDatabase(a.ctx, c.newLogger(a.stderr), func(pool *pgxpool.Pool) error {
		m, err := migrations.Down(a.ctx, pool)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "took back %s in %v\n", m.Name, m.Duration.Round(time.Millisecond))
		return err
	})
}
