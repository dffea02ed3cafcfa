// Package rivals measures other session stores on the same PostgreSQL that Latchkey is measured on: @compas/store for
// Node, and alexedwards/scs with its pgxstore for Go.
//
// It promises that a figure is of calls that all succeeded, on a server that keeps what it has acknowledged: a failed
// call ends the measurement with an error, and a server without fsync or synchronous_commit is refused. What the
// figures can be compared with, and what not, stands in the README beside this file.
package rivals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// DefaultSessions is how many sessions are in the tables where the configuration does not say.
	DefaultSessions = 10_000

	// DefaultData is a session's data where the configuration does not say.
	DefaultData = `{"cart":[{"sku":"A-1041","quantity":2},{"sku":"C-0007","quantity":1}],"locale":"en-GB","theme":"dark"}`
)

// Config says what to measure, and where.
type Config struct {
	// DatabaseURL is the URL of an empty database made for this, as a superuser. Required.
	DatabaseURL string
	// Connections is how many connections to PostgreSQL each rival has, and how many callers keep it busy. Required.
	Connections int
	// Duration is how long each operation is measured, after a warm-up of a quarter of it. Required.
	Duration time.Duration
	// Sessions is how many sessions there are before anything but creating them is measured. 0: DefaultSessions.
	Sessions int
	// Data is each session's data, a JSON object. "": DefaultData.
	Data string
	// Log is told of the progress, a line at a time. Nil: nobody is.
	Log func(string)
}

// Result is one operation of one rival.
type Result struct {
	Name, Operation         string
	PerSecond, P50ms, P99ms float64
	Note                    string // versions, and the processor time of the rival's own process
}

// Run measures every rival, one after the other. Where one fails the others are still measured: their results are
// returned with the error.
func Run(ctx context.Context, cfg Config) ([]Result, error) {
	compas, err := Compas(ctx, cfg)
	if ctx.Err() != nil {
		return compas, err
	}
	scs, scsErr := SCS(ctx, cfg)

	return append(compas, scs...), errors.Join(err, scsErr)
}

// complete returns the configuration with its defaults, or says what is wrong with it.
func (cfg Config) complete() (Config, error) {
	if cfg.Sessions == 0 {
		cfg.Sessions = DefaultSessions
	}
	if cfg.Data == "" {
		cfg.Data = DefaultData
	}
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}

	var data map[string]json.RawMessage
	switch {
	case cfg.DatabaseURL == "":
		return cfg, errors.New("Config.DatabaseURL is required")
	case cfg.Connections < 1:
		return cfg, errors.New("Config.Connections has to be positive")
	case cfg.Duration <= 0:
		return cfg, errors.New("Config.Duration has to be positive")
	case cfg.Sessions < cfg.Connections:
		return cfg, errors.New("Config.Sessions has to be Config.Connections at least: each caller rotates sessions of its own")
	case json.Unmarshal([]byte(cfg.Data), &data) != nil || data == nil:
		return cfg, errors.New("Config.Data has to be a JSON object")
	}

	return cfg, nil
}

// requireDurable refuses a server that may lose what it has acknowledged.
func requireDurable(ctx context.Context, databaseURL string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // it only asked

	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		var value string
		if err := conn.QueryRow(ctx, `SELECT current_setting($1)`, name).Scan(&value); err != nil {
			return err
		}
		if value != "on" {
			return fmt.Errorf("%s is %s: figures are measured with it on", name, value)
		}
	}

	return nil
}

// log tells of a result.
func (r Result) log(to func(string)) {
	to(fmt.Sprintf("%s: %s: %.0f/s, p50 %.2f ms, p99 %.2f ms (%s)", r.Name, r.Operation, r.PerSecond, r.P50ms, r.P99ms, r.Note))
}
