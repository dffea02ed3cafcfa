// Package testdb gives each test its own PostgreSQL database, with the schema in it.
//
// It promises a real PostgreSQL: a test that cannot have one fails, and says what to do. It comes from the first
// available of: the server of TEST_DATABASE_URL (whose user may create databases); the machine's own PostgreSQL
// programs; a container. TEST_POSTGRES=container insists on the container, and TEST_POSTGRES_IMAGE names its image.
//
// A test binary has one server, started when a test first needs it, and each test's database is copied from one that has
// the schema. Making that takes longer than most tests, so test binaries that run at the same time begin with a copy
// of what one of them made. [Main] ends the server; nothing stays behind, even if a test panics.
package testdb

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Main runs a package's tests and then stops what they used. TestMain needs nothing else:
//
//	func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	if err := end(); err != nil {
		fmt.Fprintln(os.Stderr, "testdb:", err)
		code = max(code, 1)
	}

	return code
}

// URL returns the libpq URL of a database that belongs to the test alone. It is dropped when the test
// ends.
func URL(tb testing.TB) string {
	tb.Helper()

	c, name := databaseOf(tb, (*cluster).create)

	return c.url(name)
}

// NearURL is [URL] by the shortest way to the server, for connections of the test itself, which nothing is put in
// between.
func NearURL(tb testing.TB) string {
	tb.Helper()

	c, name := databaseOf(tb, (*cluster).create)

	return c.nearURL(name)
}

// databaseOf returns the name of a database that create makes, and that is dropped when the test ends.
func databaseOf(tb testing.TB, create func(*cluster, context.Context) (string, error)) (c *cluster, name string) {
	tb.Helper()

	c, err := shared()
	if err != nil {
		tb.Fatalf("no database for tests: %v", err)
	}
	name, err = create(c, tb.Context())
	if err != nil {
		tb.Fatalf("testdb: create a database: %v", err)
	}
	tb.Cleanup(func() {
		if err := c.drop(context.WithoutCancel(tb.Context()), name); err != nil {
			tb.Errorf("testdb: drop the database: %v", err)
		}
	})

	return c, name
}

// Pool returns connections to a database that belongs to the test alone.
func Pool(tb testing.TB) *pgxpool.Pool {
	tb.Helper()

	return open(tb, NearURL(tb))
}

// ForExample is [Pool] for example functions, which have no [testing.TB]: it panics without a database. The
// function it returns closes the pool and drops the database.
func ForExample() (*pgxpool.Pool, func()) {
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			panic(fmt.Errorf("testdb: %w", err))
		}
	}
	c, err := shared()
	must(err)
	name, err := c.create(ctx)
	must(err)
	pool, err := pgxpool.New(ctx, c.nearURL(name))
	must(err)

	return pool, func() {
		pool.Close()
		must(c.drop(ctx, name))
	}
}
