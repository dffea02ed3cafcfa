package testdb

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// CanDump reports whether this machine has PostgreSQL's programs, with which [Restore] works. Those in a container are
// no use for it.
func CanDump(tb testing.TB) bool {
	tb.Helper()

	_, err := pgserver.Find(tb.Context())
	if err != nil && !errors.Is(err, pgserver.ErrNoPrograms) {
		tb.Fatalf("testdb: %v", err)
	}

	return err == nil && os.Getenv("TEST_POSTGRES") != "container"
}

// Fence makes a database take no more writes from any connection, as an operator does before moving it.
func (s *Server) Fence(database string) {
	s.tb.Helper()

	const (
		others = `SELECT count(*), count(pg_terminate_backend("pid", 1000)) FROM pg_stat_activity
WHERE "datname" = current_database() AND "backend_type" = 'client backend' AND "pid" <> pg_backend_pid() AND "backend_start" < $1`
		fence = `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$`
	)
	s.do("fence", func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, database)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		var fenced time.Time
		if _, err := conn.Exec(ctx, fence); err != nil {
			return err
		}
		if err := conn.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&fenced); err != nil {
			return err
		}
		for left := 1; left > 0; { // of those that began before
			var ended int
			if err := conn.QueryRow(ctx, others, fenced).Scan(&left, &ended); err != nil {
				return err
			}
		}
		return nil
	})
}

// Restore makes a new database of this server from a dump of another one, and returns its libpq URL.
func (s *Server) Restore(from, as string) string {
	s.tb.Helper()

	to, err := url.Parse(s.URL())
	if err != nil {
		s.tb.Fatalf("testdb: %v", err)
	}
	to.Path = "/" + as
	s.do("restore a dump on", func(ctx context.Context) error {
		programs, err := pgserver.Find(ctx)
		if err != nil {
			return err
		}
		conn, err := pgx.Connect(ctx, s.URL())
		if err != nil {
			return err
		}
		for _, statement := range []string{
			`SET default_transaction_read_only = off`, // this server's own database may have been moved away before
			`CREATE DATABASE ` + quote(as) + ` TEMPLATE template0`,
		} {
			if _, err := conn.Exec(ctx, statement); err != nil {
				return errors.Join(err, conn.Close(ctx))
			}
		}
		if err := conn.Close(ctx); err != nil {
			return err
		}
		dump := exec.CommandContext(ctx, filepath.Join(programs.Bin, "pg_dump"), "--no-owner", from)
		restore := exec.CommandContext(ctx, filepath.Join(programs.Bin, "psql"), "-qX", "-v", "ON_ERROR_STOP=1", "-d", to.String())
		var dumpSaid, restoreSaid strings.Builder
		dump.Stderr, restore.Stderr = &dumpSaid, &restoreSaid
		if restore.Stdin, err = dump.StdoutPipe(); err != nil {
			return err
		}
		if err := restore.Start(); err != nil {
			return err
		}
		if err := errors.Join(dump.Run(), restore.Wait()); err != nil {
			return fmt.Errorf("%w: %s%s", err, &dumpSaid, &restoreSaid)
		}
		return nil
	})

	return to.String()
}
