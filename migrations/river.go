package migrations

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// riverLock is any number that nothing else in the database locks. All installations in a
// database share it, because they decide one after the other which queue is whose.
const riverLock = 7_205_759_403_792_794

func createRiverSchema(queue string) string { return `CREATE SCHEMA IF NOT EXISTS ` + queue }

// riverName distinguishes the job queue's migrations from ours.
func riverName(name string) string { return "job queue: " + name }

func riverMigrator(pool *pgxpool.Pool, queue string) (*rivermigrate.Migrator[pgx.Tx], error) {
	return rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{
		Schema: queue, Logger: slog.New(slog.DiscardHandler),
	})
}

// riverUp brings the job queue's tables up to date. The library takes no lock
// itself, so replicas that start together queue up here, on a connection
// outside the pool: callers that wait must not use up the pool that the
// migrating one needs. Its migrations cannot share one transaction, because
// they use enum values that an earlier one adds.
func riverUp(ctx context.Context, pool *pgxpool.Pool) (applied []Applied, err error) {
	lock, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("migrate the job queue: %w", err)
	}
	// The lock ends with its connection, whatever happened to ctx.
	defer func() { err = errors.Join(err, lock.Close(context.WithoutCancel(ctx))) }()
	if _, err := lock.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(riverLock)); err != nil {
		return nil, fmt.Errorf("migrate the job queue: %w", err)
	}
	queue, err := QueueSchema(ctx, pool)
	if err != nil {
		return nil, err
	}
	migrator, err := riverMigrator(pool, queue)
	if err != nil {
		return nil, err
	}
	for _, statement := range []string{createRiverSchema(queue), claimQuery(queue)} {
		if _, err := pool.Exec(ctx, statement); err != nil {
			return nil, fmt.Errorf("migrate the job queue: %w", err)
		}
	}
	result, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	if err != nil {
		return nil, fmt.Errorf("migrate the job queue: %w", err)
	}
	for _, v := range result.Versions {
		applied = append(applied, Applied{
			Version: int64(v.Version), Name: riverName(v.Name), Duration: v.Duration,
		})
	}
	return applied, nil
}
