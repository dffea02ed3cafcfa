// Command bench measures Latchkey alongside its physical limits, and alongside other session stores, in one run on
// one machine, and writes docs/performance.md about it.
//
//	go run .             # all of it
//	go run . -quick      # a first look, in under two minutes
//	go run . -only rows  # the stages with "rows" in their names, which the run prints; no report
//	go run . -render     # the report again, from the results of the last run
//
// How it goes about it:
//
//   - A private PostgreSQL, which is durable while anything is measured: fsync, synchronous_commit and full_page_writes
//     are on, or nothing is measured.
//   - Compared variants run in turn, round by round, and ratios are taken within a round: the machine may be busy with
//     other things for a while.
//   - The limit of an operation is its own statement, captured from the packages and sent again by a bare loop.
//   - A single operation that fails, or a refresh that is answered with anything but a new pair, ends the run.
//
// The files of this folder: what is run when (bench.go, stage_*.go), the operations through each layer (operations.go),
// what they are run on (rig.go), and how they are measured (measure.go). It needs Linux.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"text/tabwriter"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/servers"
)

func main() {
	if err := must.Run(run); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// heapGrowth is what the service sets for itself: the packages are measured in this process.
const heapGrowth = 150

func run() {
	if slices.Equal(os.Args[1:], []string{servers.Argument}) {
		servers.Serve()
		return
	}
	if _, set := os.LookupEnv("GOGC"); !set { //nolint:forbidigo // Go's own
		debug.SetGCPercent(heapGrowth)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	cfg := must.Get(parseFlags(os.Args[1:], os.Stderr))
	if !cfg.render {
		must.Do(cfg.checkDisk())
		results := (&bench{cfg: cfg, out: os.Stderr}).run(ctx)
		if cfg.only != "" { // a report of a part would look like one of all
			show(slices.DeleteFunc(results.Targets(), func(t report.Target) bool { return t.Measured == "" }))
			return
		}
		keep(cfg, results)
	}
	render(cfg)
}

// keep writes the results, of which the report is made.
func keep(cfg config, results report.Results) {
	must.Do(os.MkdirAll(cfg.folder(), 0o755)) //nolint:gosec // documents
	text := must.Get(json.MarshalIndent(results, "", "  "))
	must.Do(os.WriteFile(cfg.results(), append(text, '\n'), 0o644)) //nolint:gosec // a document
}

// render writes the report and its pictures from the results of the last run, and prints what was to be reached.
func render(cfg config) {
	var results report.Results
	must.Do(json.Unmarshal(must.Get(os.ReadFile(cfg.results())), &results)) //nolint:gosec // where the caller has it
	for name, text := range report.Documents(results, filepath.Base(cfg.folder())) {
		path := filepath.Join(cfg.folder(), name)
		if name == report.PageName {
			path = cfg.out
		}
		must.Do(os.WriteFile(path, text, 0o644)) //nolint:gosec // a document
	}
	show(results.Targets())
	_, _ = fmt.Fprintf(os.Stdout, "\nThe report is %s\n", cfg.out) // an error cannot be reported either
}

// show prints what was to be reached.
func show(targets []report.Target) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "TO BE REACHED\tWANTED\tMEASURED\t") // Flush has the error
	for _, t := range targets {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.What, t.Wanted, t.Measured, t.Verdict()) // as above
	}
	must.Do(w.Flush())
}
