package main

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

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
	"github.com/latchkey-sessions/latchkey/migrations"
)

// embeddedDatabase is always there in a private server, which is for nothing else.
const embeddedDatabase = "postgres"

// stopTimeout bounds how long a private server may take to write its data out.
const stopTimeout = 30 * time.Second

// withDatabase gives a command the database: the one of DATABASE_URL, else that of the service that runs on the same
// VAR_DIR, else the one there, for which a server is started and stopped again.
func (s databaseSettings) withDatabase(ctx context.Context, log *slog.Logger, use func(*pgxpool.Pool) error) error {
	return s.withURL(ctx, log, func(url string) error {
		pool, err := newTaskPool(ctx, source{url, s.pooled()})
		if err != nil {
			return err
		}
		defer pool.Close()
		return use(pool)
	})
}

// withDirect is withDatabase past the pooler, if there is one.
func (s databaseSettings) withDirect(ctx context.Context, log *slog.Logger, use func(*pgxpool.Pool) error) error {
	if s.pooled() {
		s.DatabaseURL, s.DirectDatabaseURL = s.DirectDatabaseURL, ""
	}
	return s.withDatabase(ctx, log, use)
}

// pooled tells whether DATABASE_URL leads to a PgBouncer in transaction mode.
func (s databaseSettings) pooled() bool { return s.DirectDatabaseURL != "" }

// withSchema is withDatabase for commands that need the tables.
func (s databaseSettings) withSchema(ctx context.Context, log *slog.Logger, use func(*pgxpool.Pool) error) error {
	if s.DatabaseURL == "" {
		if _, err := os.Stat(filepath.Join(string(s.VarDir), "postgres")); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no database: DATABASE_URL is not set, and %s holds none", s.VarDir)
		}
	}
	return s.withDatabase(ctx, log, func(pool *pgxpool.Pool) error {
		if err := migrations.Check(ctx, pool); err != nil {
			return err
		}
		return use(pool)
	})
}

func (s databaseSettings) withURL(ctx context.Context, log *slog.Logger, use func(url string) error) (err error) {
	if s.DatabaseURL != "" {
		return use(string(s.DatabaseURL))
	}
	running, err := pgserver.Attach(ctx, string(s.VarDir))
	if err == nil {
		return use(running.URL(embeddedDatabase))
	}
	if !errors.Is(err, pgserver.ErrNotRunning) {
		return err
	}
	server, err := startServer(ctx, string(s.VarDir), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopServer(ctx, server)) }()
	return use(server.URL(embeddedDatabase))
}

func startServer(ctx context.Context, dir string, log *slog.Logger) (*pgserver.Server, error) {
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("make a folder for the database: %w", err)
	}
	return pgserver.Start(ctx, pgserver.Config{Dir: dir, Logger: log})
}

// stopServer stops the server also where ctx has ended: that is why it stops.
func stopServer(ctx context.Context, server *pgserver.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return server.Stop(ctx)
}
