package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// requestConns is how many connections requests share, if the URL has no pool_max_conns. A request holds one for
	// about a millisecond.
	requestConns = 16
	// taskConns suffices for what runs beside requests: the job queue's listener, its bookkeeping, a task and a lock.
	taskConns = 6

	connectTimeout   = 5 * time.Second
	closeTimeout     = 2 * time.Second
	statementTimeout = "10s"
)

// newRequestPool is for requests. A database that hangs must cost them an error, not their time: PostgreSQL itself
// gives up what takes too long. A setting in the URL wins; an empty one (statement_timeout=) sends none, as a pooler
// that does not know it wants.
func newRequestPool(ctx context.Context, url string) (*pgxpool.Pool, error) {
	return newPool(ctx, url, requestConns, map[string]string{
		"application_name":                    "latchkey",
		"statement_timeout":                   statementTimeout,
		"idle_in_transaction_session_timeout": statementTimeout,
	})
}

// newTaskPool is for migrations, cleanup and the job queue: they may take their time, and must not take requests' connections.
func newTaskPool(ctx context.Context, url string) (*pgxpool.Pool, error) {
	return newPool(ctx, url, taskConns, map[string]string{"application_name": "latchkey-tasks"})
}

func newPool(ctx context.Context, url string, conns int32, parameters map[string]string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("address of the database: %w", err)
	}
	if !strings.Contains(url, "pool_max_conns") {
		cfg.MaxConns = conns
	}
	if !strings.Contains(url, "connect_timeout") {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	for name, value := range parameters {
		if own, ok := cfg.ConnConfig.RuntimeParams[name]; !ok {
			cfg.ConnConfig.RuntimeParams[name] = value
		} else if own == "" {
			delete(cfg.ConnConfig.RuntimeParams, name)
		}
	}
	return pgxpool.NewWithConfig(ctx, cfg)
}

// pools are the service's connections.
type pools struct{ requests, tasks *pgxpool.Pool }

// openPools connects to nothing yet.
func openPools(ctx context.Context, url string) (pools, error) {
	requests, err := newRequestPool(ctx, url)
	if err != nil {
		return pools{}, err
	}
	tasks, err := newTaskPool(ctx, url)
	if err != nil {
		requests.Close()
		return pools{}, err
	}
	return pools{requests, tasks}, nil
}

// close waits for connections that are in use, but not for ever: what uses them may hang with the database.
func (p pools) close() {
	closed := make(chan struct{})
	go func() {
		p.requests.Close()
		p.tasks.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(closeTimeout):
	}
}
