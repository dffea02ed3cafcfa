// Package migrations creates and changes the database schema.
//
// It promises that several replicas may migrate at once (one does, the others
// wait), that a migration either happened or did not, and that the tables of
// the previous release keep working while replicas are replaced one by one.
package migrations

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// versionTable is not goose's default, which an application that embeds
// Latchkey may use for migrations of its own.
const versionTable = "latchkey_migrations"

const riverTable = RiverSchema + ".river_migration"

// ErrBehind says that migrations are pending.
var ErrBehind = errors.New("the database schema is behind this program: run `api migrate`")

//go:embed *.sql
var files embed.FS

// Applied is a migration that was just run.
type Applied struct {
	Version  int64
	Name     string
	Duration time.Duration
}

// Status is a migration that this program knows.
type Status struct {
	Version int64
	Name    string
	// AppliedAt is zero for a pending one.
	AppliedAt time.Time
}

// Up runs all pending migrations, the job queue's first, and returns those that
// it ran.
func Up(ctx context.Context, pool *pgxpool.Pool) ([]Applied, error) {
	applied, err := riverUp(ctx, pool)
	if err != nil {
		return nil, err
	}
	err = withProvider(pool, func(p *goose.Provider) error {
		results, err := p.Up(ctx)
		for _, r := range results {
			applied = append(applied, fromResult(r))
		}
		return err
	})
	if err != nil {
		return applied, fmt.Errorf("migrate: %w", err)
	}
	return applied, nil
}

// Down takes back the newest migration. The data that it had added is lost.
func Down(ctx context.Context, pool *pgxpool.Pool) (Applied, error) {
	var applied Applied
	err := withProvider(pool, func(p *goose.Provider) error {
		result, err := p.Down(ctx)
		if result != nil {
			applied = fromResult(result)
		}
		return err
	})
	if err != nil {
		return Applied{}, fmt.Errorf("migrate down: %w", err)
	}
	return applied, nil
}

// List returns every migration with the time when it was run.
func List(ctx context.Context, pool *pgxpool.Pool) ([]Status, error) {
	var list []Status
	err := withProvider(pool, func(p *goose.Provider) error {
		states, err := p.Status(ctx)
		for _, s := range states {
			list = append(list, Status{
				Version: s.Source.Version, Name: path.Base(s.Source.Path), AppliedAt: s.AppliedAt,
			})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("migration status: %w", err)
	}
	return list, nil
}

// Check returns [ErrBehind] if migrations are pending. A schema that is newer
// than this program is fine: each migration is made for the previous release
// too.
func Check(ctx context.Context, pool *pgxpool.Pool) error {
	const exist = `SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL`
	const versions = `SELECT
		(SELECT COALESCE(MAX("version_id"), 0) FROM ` + versionTable + ` WHERE "is_applied"),
		(SELECT COALESCE(MAX("version"), 0) FROM ` + riverTable + ` WHERE "line" = 'main')`
	migrator, err := riverMigrator(pool)
	if err != nil {
		return err
	}
	wantOurs, err := newestVersion()
	if err != nil {
		return err
	}
	all := migrator.AllVersions()
	wantRivers := int64(all[len(all)-1].Version)

	var exists bool
	if err := pool.QueryRow(ctx, exist, versionTable, riverTable).Scan(&exists); err != nil {
		return fmt.Errorf("look at the schema: %w", err)
	}
	if !exists {
		return ErrBehind
	}
	var ours, rivers int64
	if err := pool.QueryRow(ctx, versions).Scan(&ours, &rivers); err != nil {
		return fmt.Errorf("look at the schema: %w", err)
	}
	if ours < wantOurs || rivers < wantRivers {
		return ErrBehind
	}
	return nil
}

func newestVersion() (int64, error) {
	entries, err := files.ReadDir(".") // sorted by name
	if err != nil {
		return 0, fmt.Errorf("read the migrations: %w", err)
	}
	return goose.NumericComponent(entries[len(entries)-1].Name())
}

func withProvider(pool *pgxpool.Pool, use func(*goose.Provider) error) (err error) {
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	db := stdlib.OpenDBFromPool(pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker), goose.WithTableName(versionTable))
	if err != nil {
		return err
	}
	return use(provider)
}

func fromResult(r *goose.MigrationResult) Applied {
	return Applied{Version: r.Source.Version, Name: path.Base(r.Source.Path), Duration: r.Duration}
}
