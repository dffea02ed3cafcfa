// Package database opens the database that the settings name, or the private one below LATCHKEY_VAR_DIR.
package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/keyfiles"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/internal/pgserver"
	"github.com/latchkey-sessions/latchkey/migrations"
)

// Embedded is always present in a private server, which has no other use.
const Embedded = "postgres"

// stopTimeout limits how long a private server may take to write its data.
const stopTimeout = 30 * time.Second

// With gives a command the database: the one of LATCHKEY_DATABASE_URL, otherwise that of the service running on the
// same LATCHKEY_VAR_DIR, otherwise the one there, for which a server is started and stopped again. A private database
// is made only if the settings request one.
func With(ctx context.Context, s settings.Database, log *slog.Logger, use func(*pgxpool.Pool) error) error {
	if err := s.Meant(); err != nil {
		return err
	}
	if s.DatabaseURL == "" {
		if err := checkMade(s); err != nil {
			return err
		}
	}
	return withURL(ctx, s, log, func(url string) error {
		pool, err := newTaskPool(ctx, Source{URL: url, Pooled: s.Pooled()})
		if err != nil {
			return err
		}
		defer pool.Close()
		return use(pool)
	})
}

// WithDirect is [With], bypassing the pooler if there is one.
func WithDirect(ctx context.Context, s settings.Database, log *slog.Logger, use func(*pgxpool.Pool) error) error {
	if s.Pooled() {
		s.DatabaseURL, s.DirectDatabaseURL = s.DirectDatabaseURL, ""
	}
	return With(ctx, s, log, use)
}

// WithSchema is [With] for commands that need the tables.
func WithSchema(ctx context.Context, s settings.Database, log *slog.Logger, use func(*pgxpool.Pool) error) error {
	return WithTables(ctx, s, log, func(pool *pgxpool.Pool) error {
		if err := migrations.Check(ctx, pool); err != nil {
			return err
		}
		return use(pool)
	})
}

// WithTables is [WithSchema] for commands that check the schema themselves.
func WithTables(ctx context.Context, s settings.Database, log *slog.Logger, use func(*pgxpool.Pool) error) error {
	if err := s.Meant(); err != nil {
		return err
	}
	if s.Private() {
		if err := checkMade(s); err != nil {
			return err
		}
	}
	return With(ctx, s, log, use)
}

// checkMade checks that there is a private database.
func checkMade(s settings.Database) error {
	is := "not set"
	if s.DatabaseURL != "" {
		is = string(s.DatabaseURL)
	}
	if _, err := os.Stat(filepath.Join(string(s.VarDir), "postgres")); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no database: LATCHKEY_DATABASE_URL is %s, and %s holds none; with LATCHKEY_DATABASE_URL=private, api migrate makes one there", is, s.VarDir)
	}
	return nil
}

func withURL(ctx context.Context, s settings.Database, log *slog.Logger, use func(url string) error) (err error) {
	if !s.Private() {
		return use(string(s.DatabaseURL))
	}
	running, err := pgserver.Attach(ctx, string(s.VarDir))
	if err == nil {
		return use(running.URL(Embedded))
	}
	if !errors.Is(err, pgserver.ErrNotRunning) {
		return err
	}
	server, err := StartServer(ctx, string(s.VarDir), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, StopServer(ctx, server)) }()
	return use(server.URL(Embedded))
}

// StartServer starts the private server of a LATCHKEY_VAR_DIR.
func StartServer(ctx context.Context, dir string, log *slog.Logger) (*pgserver.Server, error) {
	if err := keyfiles.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("make a folder for the database: %w", err)
	}
	return pgserver.Start(ctx, pgserver.Config{Dir: dir, Logger: log})
}

// StopServer stops the server even if ctx has ended: that is why it stops.
func StopServer(ctx context.Context, server *pgserver.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return server.Stop(ctx)
}
