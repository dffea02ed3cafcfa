// Package rivals calls @compas/store, another session store on PostgreSQL, in a Node process of its own. What its
// figures can be compared with, and what not, stands in the README beside this file.
package rivals

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

const (
	installPatience = 3 * time.Minute
	// fillPatience is what making the sessions may take, besides the measured time.
	fillPatience = 5 * time.Minute
	phases       = 3
)

//go:embed compas/package.json compas/package-lock.json compas/bench.mjs compas/schema.sql
var files embed.FS

// Config says what to measure, and where. All of it is required.
type Config struct {
	// DatabaseURL is the URL of an empty database made for this, as a superuser.
	DatabaseURL string
	// Row is what each row says: how many connections to PostgreSQL there are, and callers who keep it busy, and how many
	// sessions before anything but creating them is measured.
	Row report.Key
	// Duration is how long each operation is measured, after a warm-up of a quarter of it.
	Duration time.Duration
	// Data is each session's data, a JSON object.
	Data string
}

// Compas measures the functions of @compas/store that create, get and refresh a session. It installs the package from
// the npm registry into a folder that is removed afterwards.
func Compas(ctx context.Context, cfg Config) (rows []report.Row) {
	parsed := must.Get(pgx.ParseConfig(cfg.DatabaseURL))
	input := must.Get(json.Marshal(map[string]any{
		"connection": map[string]any{
			"host": parsed.Host, "port": parsed.Port, "user": parsed.User, "password": parsed.Password, "database": parsed.Database, "ssl": false,
		},
		"row": cfg.Row, "seconds": cfg.Duration.Seconds(), "data": json.RawMessage(cfg.Data),
	}))
	dir := must.Get(os.MkdirTemp("", "latchkey-bench-compas-"))
	defer func() { _ = os.RemoveAll(dir) }() // below the system's temporary folder, at worst it stays there
	must.Do(os.CopyFS(dir, must.Get(fs.Sub(files, "compas"))))
	run(ctx, installPatience, dir, nil, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
	output := run(ctx, phases*cfg.Duration*5/4+fillPatience, dir, input, "node", "bench.mjs")
	for decoder := json.NewDecoder(bytes.NewReader(output)); decoder.More(); {
		var row report.Row
		must.Do(decoder.Decode(&row))
		rows = append(rows, row)
	}
	if len(rows) != phases {
		must.Do(fmt.Errorf("it printed %q", output))
	}
	return rows
}

// run runs a program to its end, which must be a good one, and returns what it printed on standard output.
func run(ctx context.Context, patience time.Duration, dir string, input []byte, name string, args ...string) []byte {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // npm or node
	cmd.Dir, cmd.Stdin, cmd.Stderr, cmd.WaitDelay = dir, bytes.NewReader(input), &stderr, time.Second
	output, err := cmd.Output()
	if err != nil {
		const enough = 2000 // the reason stands at the end
		said := stderr.Bytes()
		must.Do(fmt.Errorf("%s: %w: %s", name, errors.Join(err, ctx.Err()), said[max(0, len(said)-enough):]))
	}
	return output
}
