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
	FrozenPath = "clock, pg_catalog, public"

	frozenConns = 4
)

// Frozen returns n databases that belong to the test alone, and whose clocks show the same time and stand still until
// they are advanced.
func Frozen(tb testing.TB, n int) (pools []*pgxpool.Pool, advance func(time.Duration)) {
	tb.Helper()

	at := time.Now()
	exec := func(pool *pgxpool.Pool, sql string, args ...any) {
		if _, err := pool.Exec(tb.Context(), sql, args...); err != nil {
			tb.Fatalf("testdb: %v", err)
		}
	}
	for range n {
		url := URL(tb)
		exec(open(tb, url), FrozenClock)
		cfg, err := pgxpool.ParseConfig(url)
		if err != nil {
			tb.Fatalf("testdb: %v", err)
		}
		cfg.ConnConfig.RuntimeParams["search_path"] = FrozenPath
		cfg.MaxConns = frozenConns
		pool, err := pgxpool.NewWithConfig(tb.Context(), cfg)
		if err != nil {
			tb.Fatalf("testdb: %v", err)
		}
		tb.Cleanup(pool.Close)
		exec(pool, `UPDATE "clock"."time" SET "at" = $1`, at)
		pools = append(pools, pool)
	}

	return pools, func(d time.Duration) {
		for _, pool := range pools {
			exec(pool, `UPDATE "clock"."time" SET "at" = "at" + $1`, d)
		}
	}
}
