package testdb_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// Both servers go by the clock, which jumps while they run, and may be right.
func TestClock(t *testing.T) {
	t.Parallel()
	clock := testdb.NewClock(t, 20*time.Second)
	if clock == nil {
		return // the servers are in containers
	}
	servers := testdb.NewReplicatedBy(t, clock)
	pools := map[string]*pgxpool.Pool{"the primary": servers.Primary.Pool(), "the standby": servers.Standby.Pool()}
	for _, off := range []time.Duration{20 * time.Second, -time.Hour, 24*time.Hour + 250*time.Millisecond, 0} {
		clock.Set(off)
		for name, pool := range pools {
			var now time.Time
			before := time.Now().Add(off)
			if err := pool.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(&now); err != nil {
				t.Fatal(err)
			}
			// To the millisecond, by which the clock is set.
			if after := time.Now().Add(off); now.Before(before.Add(-2*time.Millisecond)) || now.After(after.Add(2*time.Millisecond)) {
				t.Errorf("off by %v: %s shows %v between %v and %v", off, name, now, before, after)
			}
		}
	}
}
