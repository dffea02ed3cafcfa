package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/primary"
)

const (
	// requestConns is how many connections requests share if the URL has no pool_max_conns. A request holds one for
	// about a millisecond.
	requestConns = 16
	// minRequestConns is the minimum for each shard on a shared server.
	minRequestConns = 4
	// taskConns suffices for a command, and for what runs alongside requests: the job queue's listener, its bookkeeping, a task and a
	// lock.
	taskConns = 6

	connectTimeout   = 5 * time.Second
	closeTimeout     = 2 * time.Second
	statementTimeout = "10s"

	// All statements are written for it. Where it cannot be set, the statements set it
	// themselves.
	isolationLevel, readCommitted = "default_transaction_isolation", "read committed"
)

// Source is where connections lead to.
type Source struct {
	URL string
	// Pooled says that they lead to a PgBouncer in transaction mode.
	Pooled bool
	// Again, if set, rereads the URL before each connection: its user and password may have been
	// replaced.
	Again func() (string, error)
	// Check, if set, checks each new connection: it may lead to the wrong database.
	Check func(context.Context, *pgx.Conn) error
	// Share is how many databases share the connections of requests because they are on one server. Zero means
	// one.
	Share int
}

// credentials makes each connection with the current user and password.
func (s Source) credentials(_ context.Context, cfg *pgx.ConnConfig) error {
	url, err := s.Again()
	if err != nil {
		return err
	}
	current, err := pgx.ParseConfig(url)
	if err != nil {
		return errors.New("the address of the database is no longer valid") // the cause may show a part of it
	}
	cfg.User, cfg.Password = current.User, current.Password
	return nil
}

// behindPooler prepares no statement by name: the next transaction may use another PostgreSQL connection, which does
// not know it. PgBouncer can track such names since 1.21, but need not.
func behindPooler(cfg *pgx.ConnConfig) {
	cfg.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
}

// newRequestPool returns a pool for requests. A hanging database must cost them an error, not their time: PostgreSQL
// itself cancels what takes too long. A setting in the URL wins; an empty one (statement_timeout=) sends none. A pooler
// accepts none of them: see behindPooler.
func newRequestPool(ctx context.Context, s Source, tracer pgx.QueryTracer) (*pgxpool.Pool, error) {
	parameters := map[string]string{"application_name": "latchkey"}
	if !s.Pooled {
		parameters[isolationLevel] = readCommitted
		parameters["jit"] = "off" // compiling a statement takes far longer than running it
		parameters["statement_timeout"], parameters["idle_in_transaction_session_timeout"] = statementTimeout, statementTimeout
	}
	return newPool(ctx, s, max(minRequestConns, requestConns/int32(max(1, s.Share))), tracer, parameters) //nolint:gosec // G115: a few
}

// newJobPool returns a pool for what runs alongside requests: that may take longer, and must not take their
// connections. The job queue does not set an isolation level itself.
func newJobPool(ctx context.Context, s Source) (*pgxpool.Pool, error) {
	parameters := map[string]string{"application_name": "latchkey-tasks"}
	if !s.Pooled {
		parameters[isolationLevel], parameters["jit"] = readCommitted, "off"
	}
	return newPool(ctx, s, taskConns, nil, parameters)
}

// newTaskPool returns a pool for commands. Migrations open their own connections in the same way, with their own
// settings.
func newTaskPool(ctx context.Context, s Source) (*pgxpool.Pool, error) {
	return newPool(ctx, s, taskConns, nil, map[string]string{"application_name": "latchkey-tasks"})
}

// OpenTasks opens a pool for commands that open several databases.
func OpenTasks(ctx context.Context, s Source) (*pgxpool.Pool, error) { return newTaskPool(ctx, s) }

func newPool(ctx context.Context, s Source, conns int32, tracer pgx.QueryTracer, parameters map[string]string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(s.URL)
	if err != nil {
		return nil, fmt.Errorf("address of the database: %w", err)
	}
	if !strings.Contains(s.URL, "pool_max_conns") {
		cfg.MaxConns = conns
	}
	if !strings.Contains(s.URL, "connect_timeout") {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	if s.Pooled && !strings.Contains(s.URL, "default_query_exec_mode") {
		behindPooler(cfg.ConnConfig)
	}
	primary.Require(cfg.ConnConfig)
	if s.Again != nil {
		cfg.BeforeConnect = s.credentials
	}
	cfg.AfterConnect = s.Check
	cfg.ConnConfig.Tracer = tracer
	for name, value := range parameters {
		if own, ok := cfg.ConnConfig.RuntimeParams[name]; !ok {
			cfg.ConnConfig.RuntimeParams[name] = value
		} else if own == "" {
			delete(cfg.ConnConfig.RuntimeParams, name)
		}
	}
	return pgxpool.NewWithConfig(ctx, cfg)
}

// Pools are the service's connections.
type Pools struct {
	Requests, Tasks *pgxpool.Pool
	// Direct bypasses the pooler; nil without one. Connections that wait for notifications are made as this pool makes its own.
	Direct *pgxpool.Pool
}

// Open connects to nothing yet. The tracer, if there is one, traces requests' statements.
func Open(ctx context.Context, s, direct Source, tracer pgx.QueryTracer) (p Pools, err error) {
	if p.Requests, err = newRequestPool(ctx, s, tracer); err != nil {
		return p, err
	}
	if p.Tasks, err = newJobPool(ctx, s); err == nil && direct.URL != "" {
		p.Direct, err = newTaskPool(ctx, direct)
	}
	if err != nil {
		p.Close()
	}
	return p, err
}

// Close waits for connections that are in use, but not forever: what uses them may hang with the database.
func (p Pools) Close() {
	closed := make(chan struct{})
	go func() {
		for _, pool := range []*pgxpool.Pool{p.Requests, p.Tasks, p.Direct} {
			if pool != nil {
				pool.Close()
			}
		}
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(closeTimeout):
	}
}

// SameServer counts those of the URLs that lead to the server of one of them.
func SameServer(url string, all []string) int {
	server := func(url string) string {
		cfg, err := pgxpool.ParseConfig(url)
		if err != nil {
			return url // it was checked when it was read
		}
		return fmt.Sprintf("%s:%d", cfg.ConnConfig.Host, cfg.ConnConfig.Port)
	}
	n := 0
	for _, other := range all {
		if server(other) == server(url) {
			n++
		}
	}
	return n
}
