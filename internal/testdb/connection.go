package testdb

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/migrations"
)

// closePatience is how long a test's pool may take to close: longer means that the test kept a connection.
const closePatience = 30 * time.Second

// open returns a pool that is closed when the test ends.
func open(tb testing.TB, url string) *pgxpool.Pool {
	tb.Helper()

	pool, err := pgxpool.New(tb.Context(), url)
	if err != nil {
		tb.Fatalf("testdb: %v", err)
	}
	tb.Cleanup(func() {
		closed := make(chan struct{})
		go func() {
			pool.Close()
			close(closed)
		}()
		select {
		case <-closed:
		case <-time.After(closePatience):
			tb.Error("testdb: the test ended without giving back all connections of its pool")
		}
	})

	return pool
}

// withDatabase names another database in either of libpq's two ways to write a connection string.
func withDatabase(connection, database string) string {
	if u, err := url.Parse(connection); err == nil && u.Scheme != "" {
		u.Path = "/" + database
		return u.String()
	}

	return connection + " dbname=" + database // the last name counts
}

// withSearchPath adds a search_path in either of libpq's two ways to write a connection string.
func withSearchPath(connection, path string) string {
	if u, err := url.Parse(connection); err == nil && u.Scheme != "" {
		query := u.Query()
		query.Set("search_path", path)
		u.RawQuery = query.Encode()
		return u.String()
	}

	return connection + ` search_path='` + strings.ReplaceAll(path, `'`, `\'`) + `'`
}

func migrate(ctx context.Context, url string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := migrations.Up(ctx, pool); err != nil {
		return fmt.Errorf("the schema: %w", err)
	}

	return nil
}

func quote(identifier string) string {
	return pgx.Identifier{identifier}.Sanitize()
}

func execute(ctx context.Context, url, statement string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	_, err = pool.Exec(ctx, statement)

	return err
}
