package testdb

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/migrations"
)

// citusVariable names the coordinator of a Citus cluster, whose user is a superuser there.
const citusVariable = "TEST_CITUS_URL"

// HasCitus reports whether there is a Citus cluster for tests, as TEST_CITUS_URL says.
func HasCitus() bool { return os.Getenv(citusVariable) != "" }

// citus has one installation made at a time. It is a variable of the package because the cluster is one for all tests.
var citus sync.Mutex

// CitusURLs returns the libpq URLs of n installations, each in a distributed schema of the cluster, and spread over its
// nodes as the cluster does. They are dropped when the test ends.
func CitusURLs(tb testing.TB, n int) []string {
	tb.Helper()

	coordinator := os.Getenv(citusVariable)
	admin := open(tb, coordinator)
	urls := make([]string, n)
	for i := range urls {
		schema := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
		urls[i] = withSearchPath(coordinator, schema)
		makeDistributed(tb, admin, schema, urls[i])
	}

	return urls
}

// Citus returns connections to the installations of [CitusURLs].
func Citus(tb testing.TB, n int) []*pgxpool.Pool {
	tb.Helper()

	var pools []*pgxpool.Pool
	for _, url := range CitusURLs(tb, n) {
		pools = append(pools, open(tb, url))
	}

	return pools
}

func makeDistributed(tb testing.TB, admin *pgxpool.Pool, schema, url string) {
	tb.Helper()
	citus.Lock()
	defer citus.Unlock()

	ctx := tb.Context()
	if err := pgx.BeginFunc(ctx, admin, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL citus.enable_schema_based_sharding = on`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `CREATE SCHEMA `+quote(schema))
		return err
	}); err != nil {
		tb.Fatalf("testdb: a distributed schema: %v", err)
	}
	if err := migrate(ctx, url); err != nil {
		tb.Fatalf("testdb: %v", err)
	}
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		tb.Fatalf("testdb: %v", err)
	}
	defer pool.Close()
	queue, err := migrations.QueueSchema(ctx, pool)
	if err != nil {
		tb.Fatalf("testdb: %v", err)
	}
	tb.Cleanup(func() {
		citus.Lock()
		defer citus.Unlock()

		for _, name := range []string{queue, schema} { // a queue without its installation is refused by the next
			if _, err := admin.Exec(context.WithoutCancel(tb.Context()), `DROP SCHEMA `+quote(name)+` CASCADE`); err != nil {
				tb.Errorf("testdb: %v", err)
			}
		}
	})
}
