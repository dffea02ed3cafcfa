package testdb

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// FrozenClock makes a clock that stands still until "clock"."time" is updated. The store's statements say now()
	// without a schema: the one that comes first in [FrozenPath] answers.
	FrozenClock = `
CREATE SCHEMA "clock";
CREATE TABLE "clock"."time" ("at" timestamptz NOT NULL);
INSERT INTO "clock"."time" VALUES (now());
CREATE FUNCTION "clock"."now"() RETURNS timestamptz STABLE LANGUAGE sql AS 'SELECT "at" FROM "clock"."time"';
CREATE FUNCTION "clock"."clock_timestamp"() RETURNS timestamptz STABLE LANGUAGE sql AS 'SELECT "at" FROM "clock"."time"';`

	// FrozenPath is the search path of connections that use it.
	FrozenPath = frozenPath + "public"

	frozenPath = "clock, pg_catalog, "

	frozenConns = 4
)

// Frozen returns n databases that belong to the test alone, and whose clocks show the same time and stand still until
// they are advanced.
func Frozen(tb testing.TB, n int) (pools []*pgxpool.Pool, advance func(time.Duration)) {
	tb.Helper()

	at := time.Now()
	for range n {
		url := NearURL(tb)
		execFrozen(tb, open(tb, url), FrozenClock)
		pool := openFrozen(tb, url, FrozenPath)
		execFrozen(tb, pool, setClock, at)
		pools = append(pools, pool)
	}

	return pools, func(d time.Duration) {
		for _, pool := range pools {
			execFrozen(tb, pool, advanceClock, d)
		}
	}
}

// FrozenSchemas is [Frozen] for the installations of [SchemaURLs], which have one clock.
func FrozenSchemas(tb testing.TB) (pools []*pgxpool.Pool, advance func(time.Duration)) {
	tb.Helper()

	urls := SchemaURLs(tb)
	execFrozen(tb, open(tb, urls[0]), FrozenClock)
	for i, url := range urls {
		pools = append(pools, openFrozen(tb, url, frozenPath+schemas[i]))
	}

	return pools, func(d time.Duration) { execFrozen(tb, pools[0], advanceClock, d) }
}

const (
	setClock     = `UPDATE "clock"."time" SET "at" = $1`
	advanceClock = `UPDATE "clock"."time" SET "at" = "at" + $1`
)

func execFrozen(tb testing.TB, pool *pgxpool.Pool, sql string, args ...any) {
	tb.Helper()

	if _, err := pool.Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatalf("testdb: %v", err)
	}
}

func openFrozen(tb testing.TB, url, path string) *pgxpool.Pool {
	tb.Helper()

	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		tb.Fatalf("testdb: %v", err)
	}
	cfg.ConnConfig.RuntimeParams["search_path"] = path
	cfg.MaxConns = frozenConns
	pool, err := pgxpool.NewWithConfig(tb.Context(), cfg)
	if err != nil {
		tb.Fatalf("testdb: %v", err)
	}
	tb.Cleanup(pool.Close)

	return pool
}
