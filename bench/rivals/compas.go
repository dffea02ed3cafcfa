// Package rivals calls @compas/store, another session store on PostgreSQL, in a separate Node process. The README next
// to this file describes what its figures can and cannot be compared with.
package rivals

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
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
	// fillPatience is the time that making the sessions may take, in addition to the measured time.
	fillPatience = 5 * time.Minute
	phases       = 3
)

//go:embed compas/package.json compas/package-lock.json compas/bench.mjs compas/schema.sql
var files embed.FS

// Compas measures the functions of @compas/store that create, get and refresh a session: each for this time, after a
// warm-up of a quarter of it, with as many callers and connections as each of workers says, and with at least as many
// sessions as the rows' key. The database is empty, and the URL a superuser's. It installs the package from the npm
// registry into a folder that is removed afterwards.
func Compas(ctx context.Context, url string, key report.Key, workers []int, duration time.Duration, data string) (rows []report.Row) {
	parsed := must.Get(pgx.ParseConfig(url))
	input := must.Get(json.Marshal(map[string]any{
		"connection": map[string]any{
			"host": parsed.Host, "port": parsed.Port, "user": parsed.User, "password": parsed.Password, "database": parsed.Database, "ssl": false,
		},
		"row": key, "workers": workers, "seconds": duration.Seconds(), "data": json.RawMessage(data),
	}))
	dir := must.Get(os.MkdirTemp("", "latchkey-bench-compas-"))
	defer func() { _ = os.RemoveAll(dir) }() // below the system's temporary folder, at worst it stays there
	must.Do(os.CopyFS(dir, must.Get(fs.Sub(files, "compas"))))
	run(ctx, installPatience, dir, nil, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
	output := run(ctx, time.Duration(phases*len(workers))*duration*5/4+fillPatience, dir, input, "node", "bench.mjs")
	for decoder := json.NewDecoder(bytes.NewReader(output)); decoder.More(); {
		var row report.Row
		must.Do(decoder.Decode(&row))
		rows = append(rows, row)
	}
	if len(rows) != phases*len(workers) {
		must.Do(fmt.Errorf("it printed %q", output))
	}
	return rows
}

// run runs a program of Node's to its end.
func run(ctx context.Context, patience time.Duration, dir string, input []byte, name string, args ...string) []byte {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // npm or node
	cmd.Dir, cmd.Stdin, cmd.WaitDelay = dir, bytes.NewReader(input), time.Second
	return must.Output(cmd)
}
