package migrations

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// ErrPooler says that migrations would run through a pooler, which shares
// connections: they need their own, for a lock and for settings.
var ErrPooler = errors.New("migrations need a connection to PostgreSQL itself, not to a pooler such as PgBouncer")

// Applied is a migration that was just run, or reverted.
type Applied struct {
	Version  int64
	Name     string
	Duration time.Duration
}

const (
	// lockTimeout limits the wait for a lock on a table: a change to it waits for
	// its readers, and everything that arrives later waits for the change.
	lockTimeout = 200 * time.Millisecond
	// longLockTimeout is the limit of every tenth try: PostgreSQL cancels an
	// autovacuum only for a lock that has been waited for longer than
	// deadlock_timeout, 1 s.
	longLockTimeout = 1300 * time.Millisecond
	longEvery       = 10

	lockPatience = 10 * time.Minute
	firstPause   = 100 * time.Millisecond
	longestPause = 3 * time.Second

	// A concurrent migration is waited for, checking once per second.
	peerPeriod, peerTries = 1, 3600
)

// patiently runs a step on connections that give up waiting for locks, until it
// gets them. A step that is run again must continue where it was.
func patiently(ctx context.Context, pool *pgxpool.Pool, step func(*pgxpool.Pool) error) error {
	pause, waited := firstPause, time.Duration(0)
	for try := 1; ; try++ {
		timeout := lockTimeout
		if try%longEvery == 0 {
			timeout = longLockTimeout
		}
		err := withLockTimeout(ctx, pool, timeout, step)
		if !isLockConflict(err) {
			return err
		}
		// Progress that a try made, such as rows that it changed, does not count.
		if waited += timeout + pause; waited > lockPatience {
			return fmt.Errorf("a lock was not available for %v; pg_stat_activity shows long open transactions: %w", lockPatience, err)
		}
		select {
		case <-time.After(pause):
			pause = min(pause*3/2, longestPause)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isLockConflict reports whether a try failed because of concurrent activity.
func isLockConflict(err error) bool {
	const lockNotAvailable, deadlockDetected = "55P03", "40P01"
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (answer.Code == lockNotAvailable || answer.Code == deadlockDetected)
}

// withLockTimeout gives the step connections as the pool makes them, but with
// its own isolation level and time limits.
func withLockTimeout(ctx context.Context, pool *pgxpool.Pool, timeout time.Duration, step func(*pgxpool.Pool) error) error {
	cfg := pool.Config()
	cfg.MaxConns, cfg.MinConns, cfg.MinIdleConns = 4, 0, 0
	cfg.ConnConfig.RuntimeParams["lock_timeout"] = fmt.Sprintf("%dms", timeout.Milliseconds())
	cfg.ConnConfig.RuntimeParams["default_transaction_isolation"] = "read committed"
	cfg.ConnConfig.RuntimeParams["statement_timeout"] = "0"
	cfg.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	before := cfg.AfterConnect
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if before != nil {
			if err := before(ctx, conn); err != nil {
				return err
			}
		}
		return checkLockTimeout(ctx, conn, timeout)
	}
	own, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer own.Close()
	err = step(own)
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok && strings.HasPrefix(answer.Message, "unsupported startup parameter") {
		return ErrPooler
	}
	return err
}

// checkLockTimeout detects a pooler that accepts the setting but does not pass it on.
func checkLockTimeout(ctx context.Context, conn *pgx.Conn, want time.Duration) error {
	var got int64
	if err := conn.QueryRow(ctx, `SELECT "setting"::bigint FROM pg_settings WHERE "name" = 'lock_timeout'`).Scan(&got); err != nil {
		return err
	}
	if got != want.Milliseconds() {
		return ErrPooler
	}
	return nil
}

// provide runs one migration.
func provide(ctx context.Context, pool *pgxpool.Pool, use func(*goose.Provider) error) error {
	return patiently(ctx, pool, func(pool *pgxpool.Pool) (err error) {
		// It polls instead of waiting: a waiting statement would block an index build,
		// which waits for all statements.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(peerPeriod, peerTries))
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
	})
}

func fromResult(r *goose.MigrationResult) Applied {
	return Applied{Version: r.Source.Version, Name: path.Base(r.Source.Path), Duration: r.Duration}
}
