// Package rivals measures other session stores on the same PostgreSQL that Latchkey is measured on: @compas/store for
// Node, and alexedwards/scs with its pgxstore for Go.
//
// It promises that a figure is of calls that all succeeded, on a server that keeps what it has acknowledged: a failed
// call ends the measurement with an error, and a server without fsync or synchronous_commit is refused. What the
// figures can be compared with, and what not, stands in the README beside this file.
package rivals

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Config says what to measure, and where. All of it is required.
type Config struct {
	// DatabaseURL is the URL of an empty database made for this, as a superuser.
	DatabaseURL string
	// Connections is how many connections to PostgreSQL each rival has, and how many callers keep it busy.
	Connections int
	// Duration is how long each operation is measured, after a warm-up of a quarter of it.
	Duration time.Duration
	// Sessions is how many sessions there are before anything but creating them is measured.
	Sessions int
	// Data is each session's data, a JSON object.
	Data string
	// Log is told of the progress, a line at a time.
	Log func(string) `json:"-"`
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

// check refuses too few sessions, and a server that may lose what it has acknowledged.
func (cfg Config) check(ctx context.Context) error {
	if cfg.Sessions < cfg.Connections {
		return errors.New("Config.Sessions has to be Config.Connections at least: each caller rotates sessions of its own")
	}
	conn, err := pgx.Connect(ctx, cfg.DatabaseURL)
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
