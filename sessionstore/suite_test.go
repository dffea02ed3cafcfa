package sessionstore_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/sessiontest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	sessiontest.Run(t, func(t *testing.T) sessiontest.Harness {
		t.Helper()
		k := setupFast(t, config()) // for its database and its keys
		k.exec(t, frozenClockSchema)
		poolConfig, err := pgxpool.ParseConfig(k.pool.Config().ConnString())
		if err != nil {
			t.Fatal(err)
		}
		poolConfig.ConnConfig.RuntimeParams["search_path"] = "clock, pg_catalog, public"
		poolConfig.MaxConns = 4
		pool, err := pgxpool.NewWithConfig(t.Context(), poolConfig)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		advance := func(d time.Duration) {
			if _, err := pool.Exec(t.Context(), `UPDATE "clock"."time" SET "at" = "at" + $1`, d); err != nil {
				t.Fatal(err)
			}
		}
		return sessiontest.Harness{Store: newStore(t, pool, k.ring, config()), Advance: advance}
	})
}
