//go:build linux

package failover_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// writePatience is how long the writers wait for anything.
const writePatience = 500 * time.Millisecond

func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.ConnectTimeout = writePatience
	return pgx.ConnectConfig(ctx, cfg)
}

// takesWrites reports whether an address leads to a primary.
func takesWrites(ctx context.Context, url string) (yes bool) {
	conn, err := connect(ctx, url)
	if err != nil {
		return false
	}
	defer conn.Close(ctx) //nolint:errcheck // it was asked
	return conn.QueryRow(ctx, `SELECT NOT pg_is_in_recovery()`).Scan(&yes) == nil && yes
}

// moments are when something succeeded. They are safe for concurrent use.
type moments struct {
	mu sync.Mutex
	at []time.Time
}

func (m *moments) add() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = append(m.at, time.Now())
}

// gap is the longest time without one between two of them, from the last one before a time until now.
func (m *moments) gap(since time.Time) (longest time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := since
	for _, at := range m.at {
		if at.After(since) {
			longest = max(longest, at.Sub(last))
		}
		last = at
	}
	return max(longest, time.Since(last))
}

func (m *moments) count(since time.Time) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, at := range m.at {
		if at.After(since) {
			n++
		}
	}
	return n
}

// startWriters writes to each node on a separate connection, with plain pgx: PostgreSQL accepts writes only once one
// of them succeeds.
func startWriters(t *testing.T, c *cluster) *moments {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.url(c.primary()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context()) //nolint:errcheck // the statement was answered
	if _, err := conn.Exec(t.Context(), `CREATE TABLE "beat" ("node" text PRIMARY KEY, "n" bigint NOT NULL)`); err != nil {
		t.Fatal(err)
	}
	wrote := &moments{}
	runBeside(t, len(c.nodes), func(ctx context.Context, i int) {
		for ctx.Err() == nil {
			writeTo(ctx, c.nodes[i], wrote)
			pause(ctx, 50*time.Millisecond)
		}
	})
	return wrote
}

// writeTo writes to a node until that fails.
func writeTo(ctx context.Context, n *node, wrote *moments) {
	conn, err := connect(ctx, databaseURL(n.listen))
	if err != nil {
		return
	}
	defer conn.PgConn().Conn().Close() //nolint:errcheck // whatever state it is in
	for ctx.Err() == nil {
		patient, cancel := context.WithTimeout(ctx, writePatience)
		_, err := conn.Exec(patient, `INSERT INTO "beat" VALUES ($1, 1) ON CONFLICT ("node") DO UPDATE SET "n" = "beat"."n" + 1`, n.name)
		cancel()
		if err != nil {
			return
		}
		wrote.add()
		pause(ctx, 20*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// runBeside runs n goroutines until the test ends.
func runBeside(t *testing.T, n int, run func(ctx context.Context, i int)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() { run(ctx, i) })
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}
