// Package cluster runs the private PostgreSQL that everything is measured on.
//
// It promises that nothing is measured on a server that may lose what it has acknowledged: [Cluster.Measure] asks the
// server itself, and refuses.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// sharedBuffersLimit is from where on more memory for PostgreSQL itself does not pay: the kernel has the rest.
const sharedBuffersLimit = 8 << 30

// Cluster is a server with its databases.
type Cluster struct {
	*pgserver.Server

	// Programs are PostgreSQL's, of the server's own version.
	Programs pgserver.Programs
	// Settings are what differs from PostgreSQL's defaults while something is measured.
	Settings map[string]string
	// Postmaster is the process that all others of the server are children of.
	Postmaster int

	dir   string
	admin *pgx.Conn
}

// Start makes a server in a folder made for it, in the state in which databases are filled: fast, and careless. Huge
// pages have to be reserved.
func Start(ctx context.Context, dir string, hugePages bool) *Cluster {
	programs, err := pgserver.Find(ctx)
	must.Hold(err == nil, "%w: install PostgreSQL 14 or newer (apt install postgresql)", err)
	c := &Cluster{dir: dir, Programs: programs, Settings: map[string]string{
		"shared_buffers":  strconv.FormatInt(min(machine.Memory()/3, sharedBuffersLimit)>>20, 10) + "MB",
		"max_connections": "500",
		// Checkpoints come when the benchmark asks for one, so that each figure says what it has of them.
		"max_wal_size":       "16GB",
		"checkpoint_timeout": "1h",
		"huge_pages":         map[bool]string{true: "on", false: "off"}[hugePages],
	}}
	c.Server = must.Get(pgserver.Start(ctx, pgserver.Config{Dir: dir, Loopback: true, Programs: programs, Settings: c.Settings}))
	c.admin = must.Get(pgx.Connect(ctx, c.URL("postgres")))
	c.Postmaster = machine.Parent(int(c.admin.PgConn().PID()))
	for _, setting := range []string{"fsync", "full_page_writes", "synchronous_commit", "autovacuum"} {
		c.Exec(ctx, `ALTER SYSTEM SET `+setting+` = off`)
	}
	c.Exec(ctx, `SELECT pg_reload_conf()`)
	return c
}

// Measure prepares the server for a measurement: durable, with everything written so far on the disk.
func (c *Cluster) Measure(ctx context.Context) {
	for _, sql := range []string{`ALTER SYSTEM RESET ALL`, `SELECT pg_reload_conf()`, `CHECKPOINT`} {
		c.Exec(ctx, sql)
	}
	unix.Sync()                       // the server ran without fsync until now
	const patience = 10 * time.Second // until every process of the server has read its settings again
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		for deadline := time.Now().Add(patience); c.Show(ctx, name) != "on"; time.Sleep(10 * time.Millisecond) {
			must.Hold(time.Now().Before(deadline), "%s is not on: nothing is measured without it", name)
		}
	}
}

// Remove ends the server, and removes its data.
func (c *Cluster) Remove(ctx context.Context) error {
	return errors.Join(c.Kill(ctx), c.Stop(ctx), pgserver.Remove(c.dir))
}

// Exec runs a statement as the superuser.
func (c *Cluster) Exec(ctx context.Context, sql string) {
	must.Get(c.admin.Exec(ctx, sql))
}

// Show returns a setting.
func (c *Cluster) Show(ctx context.Context, setting string) (value string) {
	must.Do(c.admin.QueryRow(ctx, `SELECT current_setting($1)`, setting).Scan(&value))
	return value
}

// Create makes an empty database and returns its URL.
func (c *Cluster) Create(ctx context.Context, name string) string {
	c.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize())
	return c.URL(name)
}

// SlowCommits has every commit take so much longer; 0: no longer than the disk needs.
func (c *Cluster) SlowCommits(ctx context.Context, delay time.Duration) {
	for name, value := range map[string]int64{"commit_delay": delay.Microseconds(), "commit_siblings": 0} {
		c.Exec(ctx, fmt.Sprintf(`ALTER SYSTEM SET %s = %d`, name, value))
	}
	c.Exec(ctx, `SELECT pg_reload_conf()`)
}

// Checkpoint writes all changed pages to the disk. The next change of each page puts the whole of it into the WAL.
func (c *Cluster) Checkpoint(ctx context.Context) { c.Exec(ctx, `CHECKPOINT`) }

// RecycleWAL makes a checkpoint leave this many WAL segments of 16 MiB for reuse, as on a server that has run for a
// while. A new one is filled with zeros first, for up to 50 ms in which nobody can commit.
func (c *Cluster) RecycleWAL(ctx context.Context, segments int) {
	for range segments {
		c.Exec(ctx, `SELECT pg_logical_emit_message(false, 'bench', ''), pg_switch_wal()`)
	}
	c.Checkpoint(ctx)
}

// Written returns how many bytes of WAL were ever written, and how many transactions ever got an id: those that changed
// something.
func (c *Cluster) Written(ctx context.Context) (wal, ids int64) {
	const counters = `SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint`

	must.Do(c.admin.QueryRow(ctx, counters).Scan(&wal, &ids))
	return wal, ids
}

// inFlight is how many pieces are on their way at most: far more than a server and its client have under way.
const inFlight = 1024

// Distance puts a network between a server and its clients on the same machine: it lets connections to an address through
// to the target, each piece so much later than it was sent, until stop, which waits for clients to close theirs.
func Distance(ctx context.Context, target string, oneWay time.Duration) (address string, stop func()) {
	listener := must.Get(new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"))
	var all sync.WaitGroup
	all.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil { // it was closed
				return
			}
			far, err := new(net.Dialer).DialContext(ctx, "tcp", target)
			if err != nil {
				_ = near.Close() // the client sees that
				continue
			}
			all.Go(func() { carry(far, near, oneWay) })
			all.Go(func() { carry(near, far, oneWay) })
		}
	})
	return listener.Addr().String(), func() {
		must.Do(listener.Close())
		all.Wait()
	}
}

type piece struct {
	due  time.Time
	data []byte
}

// carry copies until one of both ends, and closes the other.
func carry(to, from net.Conn, oneWay time.Duration) {
	pieces := make(chan piece, inFlight)
	go func() {
		defer close(pieces)
		for buffer := make([]byte, 64<<10); ; {
			n, err := from.Read(buffer)
			if n > 0 {
				pieces <- piece{time.Now().Add(oneWay), slices.Clone(buffer[:n])}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			_ = from.Close() // so that its reader ends
		}
	}
	_ = to.Close() // it may have ended
}
