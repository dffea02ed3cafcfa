package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// The test binary is the servers that the benchmark starts as well.
func TestMain(m *testing.M) {
	if serve := server(os.Args[1:]); serve != nil {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Everything is measured, for a moment: what counts is that nothing fails, and that nothing is missing.
func TestARun(t *testing.T) {
	t.Parallel()

	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	dir := t.TempDir()
	cfg, err := parseFlags([]string{
		"-quick", "-sizes", "2000,4000", "-concurrency", "2,4", "-duration", "100ms", "-rounds", "1", "-no-rivals",
		"-out", filepath.Join(dir, "report.md"), "-dir", t.TempDir(),
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	b := &bench{cfg: cfg, progress: newProgress(&log, false)}
	results, err := b.run(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}

	for _, target := range report.Targets(results) {
		if target.Unknown != strings.Contains(target.What, "10 million") {
			t.Errorf("%s: %s", target.What, target.Verdict())
		}
	}
	for _, row := range results.Rows {
		if row.PerSecond() <= 0 {
			t.Errorf("%+v: nothing was done", row.Key)
		}
		if row.Layer != report.Limit && (row.DatabaseCPU < 0 || row.P50 <= 0 || row.P999 < row.P99) {
			t.Errorf("%+v: %+v", row.Key, row)
		}
	}
	for _, c := range results.Counts {
		if c.RoundTrips < 1 || c.Allocations < 1 {
			t.Errorf("%+v", c)
		}
	}
	if entries, err := os.ReadDir(cfg.dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v (%v)", entries, err)
	}

	if err := write(cfg, results); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(cfg.out)
	if err != nil {
		t.Fatal(err)
	}
	if err := renderAgain(cfg); err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(cfg.out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, again) {
		t.Error("rendered again, the report is another one")
	}
	if _, err := os.Stat(filepath.Join(dir, "report", "limit.svg")); err != nil {
		t.Error(err)
	}
}
