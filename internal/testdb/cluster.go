package testdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"
)

// hasStrategies is the first version with more than one way of copying a database.
const hasStrategies = 150000

// cluster is the server that a test binary's databases are on.
type cluster struct {
	server   server // nil: not started here
	admin    *pgxpool.Pool
	base     string // URL of any of its databases
	near     string // the same, by the shortest way
	template string // "": not made yet
	prefix   string // of the databases' names
	strategy string
	count    atomic.Int64

	schemas struct {
		mu       sync.Mutex
		template string // of databases with several installations; "": not there yet
	}
}

// current is the test binary's cluster, and the result of starting it. It is a variable of the package because Go runs
// the tests of a package in one process, and offers no place but TestMain that outlives a single test.
var current struct {
	mu      sync.Mutex
	cluster *cluster
	err     error
}

func shared() (*cluster, error) {
	current.mu.Lock()
	defer current.mu.Unlock()

	if current.cluster == nil && current.err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), startPatience)
		defer cancel()
		current.cluster, current.err = newCluster(ctx)
	}

	return current.cluster, current.err
}

func end() error {
	current.mu.Lock()
	defer current.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), endPatience)
	defer cancel()
	var err error
	if current.cluster != nil {
		err = current.cluster.end(ctx)
		current.cluster = nil
	}

	return errors.Join(err, removeFiles())
}

func newCluster(ctx context.Context) (*cluster, error) {
	base, srv, err := source(ctx)
	if err != nil {
		return nil, err
	}
	// Several test binaries may use one server at once.
	c := &cluster{server: srv, base: base, near: base, prefix: "latchkey_test_" + strings.ToLower(rand.Text()[:10])}
	if srv != nil {
		c.template = "postgres" // [newServer] has put the schema there
	}
	if l, ok := srv.(*local); ok {
		c.near = l.Socket().URL("template1")
	}
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(err, c.end(ctx))
	}

	return c, nil
}

// prepare makes the template if there is none, and opens the connection that copies it.
func (c *cluster) prepare(ctx context.Context) error {
	config, err := pgxpool.ParseConfig(c.base)
	if err != nil {
		return err
	}
	if c.admin, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	var version int
	if err := c.admin.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
		return err
	}
	// Without fsync two checkpoints cost less than writing the whole copy to the log.
	if version >= hasStrategies && c.server != nil {
		c.strategy = " STRATEGY file_copy"
	}

	if c.server == nil {
		if _, err := c.admin.Exec(ctx, `CREATE DATABASE `+quote(c.prefix)); err != nil {
			return err
		}
		c.template = c.prefix
		if err := migrate(ctx, c.url(c.template)); err != nil {
			return err
		}
	}
	// A template cannot be copied while it is in use.
	_, err = c.admin.Exec(ctx, `ALTER DATABASE `+quote(c.template)+` ALLOW_CONNECTIONS false`)

	return err
}

// create makes a copy of the template and returns its name.
func (c *cluster) create(ctx context.Context) (string, error) { return c.createFrom(ctx, c.template) }

func (c *cluster) createFrom(ctx context.Context, template string) (string, error) {
	name := fmt.Sprintf("%s_%d", c.prefix, c.count.Add(1))

	return name, c.copy(ctx, template, name)
}

func (c *cluster) copy(ctx context.Context, template, name string) error {
	_, err := c.admin.Exec(ctx, `CREATE DATABASE `+quote(name)+` TEMPLATE `+quote(template)+c.strategy)

	return err
}

func (c *cluster) drop(ctx context.Context, name string) error {
	_, err := c.admin.Exec(ctx, `DROP DATABASE IF EXISTS `+quote(name)+` WITH (FORCE)`)
	return err
}

func (c *cluster) end(ctx context.Context) error {
	var err error
	if c.admin != nil {
		for _, template := range []string{c.template, c.schemas.template} {
			if c.server == nil && template != "" {
				err = errors.Join(err, c.drop(ctx, template))
			}
		}
		c.admin.Close()
	}
	if c.server != nil {
		err = errors.Join(err, c.server.Remove(ctx))
	}

	return err
}

// url returns the URL of another database on the cluster.
func (c *cluster) url(database string) string {
	return withDatabase(c.base, database)
}

// nearURL is [cluster.url] for connections of the test itself, which nothing is put in between.
func (c *cluster) nearURL(database string) string {
	return withDatabase(c.near, database)
}

// source decides where the databases are, and starts that server if necessary.
func source(ctx context.Context) (base string, srv server, err error) {
	if external := os.Getenv("TEST_DATABASE_URL"); external != "" && os.Getenv("TEST_POSTGRES") == "" {
		return external, nil, nil
	}
	// Commits here need not survive a crash.
	srv, err = newServer(ctx, map[string]string{"synchronous_commit": "off", "max_wal_size": "256MB"}, nil)
	if err != nil {
		return "", nil, err
	}

	// There must be no connection to the database being copied.
	return srv.URL("template1"), srv, nil
}
