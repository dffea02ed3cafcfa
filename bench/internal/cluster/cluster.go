// Package cluster runs the private PostgreSQL that everything is measured on.
//
// It promises that nothing is measured on a server that may lose what it has acknowledged: [Cluster.Measure] asks the
// server itself, and refuses.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// MaxConnections is how many connections there may be at once.
const MaxConnections = 500

// sharedBuffersLimit is from where on more memory for PostgreSQL itself does not pay: the kernel has the rest.
const sharedBuffersLimit = 8 << 30

// durability are the settings without which a figure is worth nothing.
var durability = []string{"fsync", "synchronous_commit", "full_page_writes"}

// Config says where a cluster is, and on what memory.
type Config struct {
	// Dir is where its files go: a folder made for it.
	Dir string
	// HugePages has it use memory that was reserved for it, of [Memory].
	HugePages bool
}

// Cluster is a server with its databases.
type Cluster struct {
	*pgserver.Server

	cfg      Config
	port     int
	programs pgserver.Programs
	admin    *pgx.Conn
	// Postmaster is the process that all others of the server are children of.
	Postmaster int
}

// Start makes a server, in the state in which databases are filled: fast, and careless.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	programs, err := pgserver.Find(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: install PostgreSQL 14 or newer (apt install postgresql)", err)
	}
	if err := os.Chmod(cfg.Dir, 0o711); err != nil { //nolint:gosec // as root, another user runs the server
		return nil, err
	}
	c := &Cluster{cfg: cfg, programs: programs}

	return c, c.start(ctx, map[string]string{
		"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off",
		"wal_level": "minimal", "max_wal_senders": "0", "autovacuum": "off",
	})
}

func (c *Cluster) start(ctx context.Context, settings map[string]string) error {
	all := c.Settings()
	maps.Copy(all, settings)
	var err error
	// A server that is started again is to be where it was.
	if c.Server, err = pgserver.Start(ctx, pgserver.Config{Dir: c.cfg.Dir, Loopback: true, Port: c.port, Programs: c.programs, Settings: all}); err != nil {
		return err
	}
	if c.admin, err = pgx.Connect(ctx, c.URL("postgres")); err != nil {
		return errors.Join(err, c.Stop(ctx))
	}
	c.port = int(c.admin.Config().Port)
	c.Postmaster, err = machine.Parent(int(c.admin.PgConn().PID()))

	return err
}

// sharedBuffers is PostgreSQL's own memory.
func sharedBuffers() int64 { return min(machine.Memory()/3, sharedBuffersLimit) }

// Memory is how much memory the server's processes share: roughly, and not less.
func Memory() int64 { return sharedBuffers() + sharedBuffers()/16 + 256<<20 }

// Settings are what differs from PostgreSQL's defaults while something is measured.
func (c *Cluster) Settings() map[string]string {
	settings := map[string]string{
		"shared_buffers":  strconv.FormatInt(sharedBuffers()>>20, 10) + "MB",
		"max_connections": strconv.Itoa(MaxConnections),
		// Checkpoints come when the benchmark asks for one, so that each figure says what it has of them.
		"max_wal_size":       "16GB",
		"checkpoint_timeout": "1h",
		"huge_pages":         "off",
	}
	if c.cfg.HugePages {
		settings["huge_pages"] = "on"
	}

	return settings
}

// Measure starts the server again as it is to be measured: durable, with all that was written before on the disk.
func (c *Cluster) Measure(ctx context.Context) error {
	if _, err := c.admin.Exec(ctx, `CHECKPOINT`); err != nil {
		return err
	}
	if err := errors.Join(c.admin.Close(ctx), c.Stop(ctx)); err != nil {
		return err
	}
	unix.Sync() // the server ran without fsync until now
	if err := c.start(ctx, nil); err != nil {
		return err
	}
	for _, name := range durability {
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
	var err error
	if c.Server != nil {
		err = errors.Join(c.Kill(ctx), c.Stop(ctx))
	}
	// The data may be elsewhere, where the server's user cannot enter dir.
	if home, linkErr := filepath.EvalSymlinks(filepath.Join(c.cfg.Dir, "postgres")); linkErr == nil {
		err = errors.Join(err, os.RemoveAll(home))
	}

	return errors.Join(err, os.RemoveAll(c.cfg.Dir))
}

// Program returns the path of one of PostgreSQL's programs, of the server's own version.
func (c *Cluster) Program(name string) string { return filepath.Join(c.programs.Bin, name) }

// Show returns a setting.
func (c *Cluster) Show(ctx context.Context, setting string) (value string, err error) {
	err = c.admin.QueryRow(ctx, `SELECT current_setting($1)`, setting).Scan(&value)

	return value, err
}

// Create makes an empty database and returns its URL.
func (c *Cluster) Create(ctx context.Context, name string) (string, error) {
	_, err := c.admin.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize())

	return c.URL(name), err
}

// Checkpoint writes all changed pages to the disk. The next change of each page puts the whole of it into the WAL.
func (c *Cluster) Checkpoint(ctx context.Context) error {
	_, err := c.admin.Exec(ctx, `CHECKPOINT`)

	return err
}

// RecycleWAL has a checkpoint leave so many WAL segments of 16 MiB to be used again, as a server has them that has run
// for a while. A new one is filled with zeros first, for up to 50 ms in which nobody can commit.
func (c *Cluster) RecycleWAL(ctx context.Context, segments int) error {
	for range segments {
		if _, err := c.admin.Exec(ctx, `SELECT pg_logical_emit_message(false, 'bench', ''), pg_switch_wal()`); err != nil {
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
