package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/servers"
)

// The test binary is the servers that the benchmark starts as well.
func TestMain(m *testing.M) {
	if slices.Equal(os.Args[1:], []string{servers.Argument}) {
		if err := must.Run(servers.Serve); err != nil {
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
	cfg := must.Get(parseFlags([]string{
		"-quick", "-sizes", "2000,4000", "-concurrency", "2,4", "-duration", "100ms", "-rounds", "1",
		"-out", filepath.Join(dir, "report.md"), "-dir", t.TempDir(),
	}, io.Discard))
	var log bytes.Buffer
	var results report.Results
	if err := must.Run(func() { results = (&bench{cfg: cfg, out: &log}).run(t.Context()) }); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}

	var published report.Results
	must.Do(json.Unmarshal(must.Get(os.ReadFile("../docs/performance/results.json")), &published))
	if diff := cmp.Diff(figures(published), figures(results)); diff != "" {
		t.Errorf("other figures than those that are published (-published +measured):\n%s", diff)
	}
	for _, target := range results.Targets() {
		if unknown := target.Verdict() == "not measured"; unknown != ofAFullRun.MatchString(target.What) {
			t.Errorf("%s: %s", target.What, target.Verdict())
		}
	}
	var client, server, database, wal float64
	for _, row := range slices.Concat(results.Rows, results.Latencies, results.Rivals) {
		client, server, database, wal = client+row.ClientCPU, server+row.ServerCPU, database+row.DatabaseCPU, wal+row.WAL
		if row.PerSecond() <= 0 {
			t.Errorf("%+v: nothing was done", row.Key)
		}
		if row.Layer != report.Limit && (row.P50 <= 0 || row.P99 < row.P50) {
			t.Errorf("%+v: %+v", row.Key, row)
		}
	}
	if client <= 0 || server <= 0 || database <= 0 || wal <= 0 {
		t.Errorf("all together took %v of the client, %v of the servers, %v of PostgreSQL, %v bytes of WAL", client, server, database, wal)
	}
	if m := results.Machine; m.Cores < 1 || m.MemoryBytes < 1<<20 || m.Fsync <= 0 || m.Kernel == "" || m.CPU == "" {
		t.Errorf("the machine is %+v", m)
	}
	if len(results.Rivals) != 10 || len(results.Missing) > 0 {
		t.Errorf("rivals: %+v, missing: %v", results.Rivals, results.Missing)
	}
	for _, c := range results.Counts {
		// If a write takes long, pgx begins to read ahead, and two are counted as one.
		if c.RoundTrips < 0.9 || c.Allocations < 1 {
			t.Errorf("%+v", c)
		}
	}
	if entries, err := os.ReadDir(cfg.dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v (%v)", entries, err)
	}

	keep(cfg, results)
	render(cfg)
	for _, path := range []string{cfg.out, filepath.Join(dir, "report", "limit.svg")} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// figures are what was measured, whatever the numbers of sessions and workers, and whatever the rivals were measured with.
func figures(r report.Results) map[report.Key]bool {
	all := make(map[report.Key]bool)
	for _, row := range slices.Concat(r.Rows, r.Latencies, r.Rivals) {
		row.Group, _, _ = strings.Cut(row.Group, " at ")
		row.Sessions, row.Workers, row.Load = 0, 0, 0
		all[row.Key] = true
	}
	return all
}

// ofAFullRun are targets for sizes, or for numbers of workers, that a quick run has not.
var ofAFullRun = regexp.MustCompile(`10 million| at [0-9]`)

func TestFlags(t *testing.T) {
	t.Parallel()

	full := must.Get(parseFlags(nil, io.Discard))
	if full.mainSize() != 1_000_000 || full.mainWorkers() != 32 || full.folder() != "../docs/performance" {
		t.Errorf("%d sessions, %d workers, folder %s", full.mainSize(), full.mainWorkers(), full.folder())
	}
	quick := must.Get(parseFlags([]string{"-concurrency", "4, 2,4", "-quick"}, io.Discard))
	if diff := cmp.Diff([]int{2, 4}, quick.workers); diff != "" || quick.mainSize() != 10_000 || quick.mainWorkers() != 4 {
		t.Errorf("%d sessions, %d workers, %s", quick.mainSize(), quick.mainWorkers(), diff)
	}
	for _, test := range [][]string{
		{"-sizes", "10,x"}, {"-sizes", "0"}, {"-sizes", "100"}, {"-concurrency", "1000"}, {"-duration", "1ms"}, {"-rounds", "-1"}, {"quick"},
	} {
		if _, err := parseFlags(test, io.Discard); err == nil || !strings.Contains(err.Error(), test[0]) {
			t.Errorf("%v: %v", test, err)
		}
	}
}

func TestOnlySomeStages(t *testing.T) {
	t.Parallel()

	of := func(only string) (names []string) {
		for _, s := range (&bench{cfg: must.Get(parseFlags([]string{"-only", only}, io.Discard))}).stages() {
			names = append(names, s.name)
		}
		return names
	}
	all := of("")
	if diff := cmp.Diff(append(slices.Clone(all[:5]), "remove expired sessions", "refresh while a million rows are removed"), of("remove")); diff != "" {
		t.Error(diff)
	}
	if err := must.Run(func() { of("nothing of the kind") }); err == nil || !strings.Contains(err.Error(), "-only") {
		t.Error(err)
	}
}

func TestItRefusesWhereThereIsNoDisk(t *testing.T) {
	t.Parallel()

	for want, cfg := range map[string]config{
		"in memory":     {dir: "/dev/shm"},
		"GB are needed": {dir: t.TempDir(), sizes: []int{1 << 50 / bytesPerSession}},
	} {
		if err := cfg.checkDisk(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
