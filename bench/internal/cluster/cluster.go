// Package cluster runs the private PostgreSQL that everything is measured on.
//
// It promises that nothing is measured on a server that may lose what it has acknowledged: [Cluster.Measure] asks the
// server itself, and refuses.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// sharedBuffersLimit is from where on more memory for PostgreSQL itself does not pay: the kernel has the rest.
const sharedBuffersLimit = 8 << 30

// Cluster is a server with its databases.
type Cluster struct {
	*pgserver.Server

	// Settings are what differs from PostgreSQL's defaults while something is measured.
	Settings map[string]string
	// Postmaster is the process that all others of the server are children of.
	Postmaster int

	dir      string
	programs pgserver.Programs
	admin    *pgx.Conn
}

// Start makes a server in a folder made for it, in the state in which databases are filled: fast, and careless. Huge
// pages have to be reserved.
func Start(ctx context.Context, dir string, hugePages bool) (*Cluster, error) {
	programs, err := pgserver.Find(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: install PostgreSQL 14 or newer (apt install postgresql)", err)
	}
	c := &Cluster{dir: dir, programs: programs, Settings: map[string]string{
		"shared_buffers":  strconv.FormatInt(min(machine.Memory()/3, sharedBuffersLimit)>>20, 10) + "MB",
		"max_connections": "500",
		// Checkpoints come when the benchmark asks for one, so that each figure says what it has of them.
		"max_wal_size":       "16GB",
		"checkpoint_timeout": "1h",
		"huge_pages":         "off",
	}}
	if hugePages {
		c.Settings["huge_pages"] = "on"
	}
	if c.Server, err = pgserver.Start(ctx, pgserver.Config{Dir: dir, Loopback: true, Programs: programs, Settings: c.Settings}); err != nil {
		return nil, err
	}
	if c.admin, err = pgx.Connect(ctx, c.URL("postgres")); err != nil {
		return nil, errors.Join(err, c.Stop(ctx))
	}
	c.Postmaster, err = machine.Parent(int(c.admin.PgConn().PID()))
	for _, setting := range []string{"fsync", "full_page_writes", "synchronous_commit", "autovacuum"} {
		err = errors.Join(err, c.Exec(ctx, `ALTER SYSTEM SET `+setting+` = off`))
	}

	return c, errors.Join(err, c.Exec(ctx, `SELECT pg_reload_conf()`))
}

// Measure has the server be as it is to be measured: durable, with all that was written before on the disk.
func (c *Cluster) Measure(ctx context.Context) error {
	for _, sql := range []string{`ALTER SYSTEM RESET ALL`, `SELECT pg_reload_conf()`, `CHECKPOINT`} {
		if err := c.Exec(ctx, sql); err != nil {
			return err
		}
	}
	unix.Sync() // the server ran without fsync until now
	const patience = 10 * time.Second
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := c.durable(ctx)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// durable asks for the settings without which a figure is worth nothing.
func (c *Cluster) durable(ctx context.Context) error {
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		value, err := c.Show(ctx, name)
		if err != nil {
			return err
		}
		if value != "on" {
			return fmt.Errorf("%s is %s: nothing is measured without it", name, value)
		}
	}

	return nil
}

// Remove ends the server, and removes its data.
func (c *Cluster) Remove(ctx context.Context) error {
	err := errors.Join(c.Kill(ctx), c.Stop(ctx))
	// The data may be elsewhere, where the server's user cannot enter dir.
	if home, linkErr := filepath.EvalSymlinks(filepath.Join(c.dir, "postgres")); linkErr == nil {
		err = errors.Join(err, os.RemoveAll(home))
	}

	return errors.Join(err, os.RemoveAll(c.dir))
}

// Program returns the path of one of PostgreSQL's programs, of the server's own version.
func (c *Cluster) Program(name string) string { return filepath.Join(c.programs.Bin, name) }

// Exec runs a statement as the superuser.
func (c *Cluster) Exec(ctx context.Context, sql string) error {
	_, err := c.admin.Exec(ctx, sql)

	return err
}

// Show returns a setting.
func (c *Cluster) Show(ctx context.Context, setting string) (value string, err error) {
	err = c.admin.QueryRow(ctx, `SELECT current_setting($1)`, setting).Scan(&value)

	return value, err
}

// Create makes an empty database and returns its URL.
func (c *Cluster) Create(ctx context.Context, name string) (string, error) {
	return c.URL(name), c.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize())
}

// Checkpoint writes all changed pages to the disk. The next change of each page puts the whole of it into the WAL.
func (c *Cluster) Checkpoint(ctx context.Context) error { return c.Exec(ctx, `CHECKPOINT`) }

// RecycleWAL has a checkpoint leave so many WAL segments of 16 MiB to be used again, as a server has them that has run
// for a while. A new one is filled with zeros first, for up to 50 ms in which nobody can commit.
func (c *Cluster) RecycleWAL(ctx context.Context, segments int) error {
	for range segments {
		if err := c.Exec(ctx, `SELECT pg_logical_emit_message(false, 'bench', ''), pg_switch_wal()`); err != nil {
			return err
		}
	}

	return c.Checkpoint(ctx)
}

// WAL returns how many bytes of WAL were ever written.
func (c *Cluster) WAL(ctx context.Context) (n int64, err error) {
	err = c.admin.QueryRow(ctx, `SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint`).Scan(&n)

	return n, err
}
