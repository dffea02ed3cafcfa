package database

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// A request's statements are not compiled: PostgreSQL would do so for lists in which it expects many
// rows, and take ten times as long.
func TestRequestsAreNotCompiled(t *testing.T) {
	t.Parallel()
	pool, err := newRequestPool(t.Context(), Source{URL: testdb.URL(t)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var jit string
	if err := pool.QueryRow(t.Context(), "SHOW jit").Scan(&jit); err != nil || jit != "off" {
		t.Errorf("%q, %v", jit, err)
	}
}

// A database that takes a connection and says nothing is given up soon, or when its URL says.
func TestConnectingIsGivenUp(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]time.Duration{"": connectTimeout, "?connect_timeout=1": time.Second} {
		source := Source{URL: "postgres://127.0.0.1:1/none" + query}
		pools, err := Open(t.Context(), source, source, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, pool := range map[string]*pgxpool.Pool{"requests": pools.Requests, "tasks": pools.Tasks, "direct": pools.Direct} {
			if got := pool.Config().ConnConfig.ConnectTimeout; got != want {
				t.Errorf("%s, with %q: after %v, want %v", name, query, got, want)
			}
		}
		pools.Close()
	}
}

// Each pool leaves a server that was set to take no writes and keeps running, for the one to which the address leads.
func TestPoolsLeaveAReadOnlyServer(t *testing.T) {
	t.Parallel()
	before, after := testdb.NewServer(t), testdb.NewServer(t)
	address := testdb.NewAddress(t, before)
	source := Source{URL: address.URL(before)}
	pools, err := Open(t.Context(), source, source, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer pools.Close()
	const write = `CREATE TABLE "%s" ()`
	all := map[string]*pgxpool.Pool{"requests": pools.Requests, "tasks": pools.Tasks, "direct": pools.Direct}
	for name, pool := range all {
		if _, err := pool.Exec(t.Context(), fmt.Sprintf(write, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, statement := range []string{`ALTER SYSTEM SET default_transaction_read_only = on`, `SELECT pg_reload_conf()`} {
		if _, err := before.Pool().Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for name, pool := range all { // a server takes a moment to notify its connections
		for began, takesWrites := time.Now(), true; takesWrites; time.Sleep(time.Millisecond) {
			if err := pool.QueryRow(t.Context(), `SELECT NOT current_setting('default_transaction_read_only')::boolean`).Scan(&takesWrites); err != nil || time.Since(began) > time.Minute {
				t.Fatal(name, err)
			}
		}
	}
	for name, pool := range all {
		for range 2 { // the second is refused as soon as it is made
			if _, err := pool.Exec(t.Context(), fmt.Sprintf(write, name+" again")); !primary.Refused(err) {
				t.Errorf("%s, on a server that takes no writes: %v", name, err)
			}
		}
	}
	address.Lead(after)
	for name, pool := range all {
		if _, err := pool.Exec(t.Context(), fmt.Sprintf(write, name)); err != nil {
			t.Errorf("%s, with the address of another server: %v", name, err)
		}
	}
}
