package report_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/rivals"
)

var update = flag.Bool("update", false, "write the golden files")

// sample is a run whose figures nobody has measured.
func sample() report.Results {
	main := func(layer, operation, variant string, workers int, rounds ...float64) report.Row {
		row := report.Row{
			Key: report.Key{
				Layer: layer, Operation: operation, Variant: variant, State: report.Steady,
				Group: report.Main(workers), Sessions: 1_000_000, Workers: workers,
			},
			Rounds: rounds, Calls: 12_345, P50: 0.4567, P99: 12.345, P999: 123.45, ClientCPU: 22.2, DatabaseCPU: 71.7, WAL: 323.2,
		}
		if layer == report.HTTP {
			row.ServerCPU = 104.4
		}
		return row
	}
	sized := func(layer, operation, variant string, sessions int, rounds ...float64) report.Row {
		row := main(layer, operation, variant, 32, rounds...)
		row.Group, row.Sessions = report.SizeGroup, sessions
		return row
	}
	checkpoint := func(state string, sessions int, rounds ...float64) report.Row {
		row := sized(report.Packages, report.Refresh, "", sessions, rounds...)
		row.Group, row.State = report.CheckpointGroup, state
		return row
	}
	grouped := func(group, layer, operation, variant string, rounds ...float64) report.Row {
		row := main(layer, operation, variant, 32, rounds...)
		row.Group, row.ServerCPU = group, 18
		return row
	}
	handler := main(report.Limit, report.Handler, "", 32, 60_000)
	handler.Sessions, handler.DatabaseCPU, handler.WAL, handler.ServerCPU = 0, 0, 0, 15

	return report.Results{
		Taken: time.Date(2026, 11, 21, 3, 30, 0, 0, time.UTC), Took: 24 * time.Minute, Command: "go run .", Version: "v1.2.3",
		Machine:    machine.Facts{CPU: "A processor", Cores: 2, MemoryBytes: 24 << 30, Kernel: "Linux version 6.1", Go: "go1.26.0", Fsync: 293 * time.Microsecond},
		PostgreSQL: "17.5", SharedBuffers: 8 << 30, Workers: 32, Sessions: 1_000_000,
		Settings: []report.Setting{{Name: "fsync", Value: "on"}, {Name: "synchronous_commit", Value: "on"}},
		Sizes: []report.Size{
			{Sessions: 10_000, TableBytes: 9 << 20, IndexBytes: 2 << 20, SampleCount: 10_000},
			{Sessions: 10_000_000, TableBytes: 9 << 30, IndexBytes: 2 << 30, SampleCount: 100_000},
		},
		Rows: []report.Row{
			main(report.Limit, report.OneRow, "", 32, 20_000, 10_000, 21_000),
			main(report.Bare, report.Refresh, "", 32, 16_000, 8_000, 16_500),
			main(report.Packages, report.Refresh, "", 32, 15_000, 7_500, 15_600),
			main(report.HTTP, report.Refresh, "", 32, 11_000, 6_000, 12_000),
			main(report.Bare, report.Get, "", 32, 45_000, 44_000, 46_000),
			main(report.Packages, report.Get, report.Seen, 32, 42_000, 43_000, 44_000),
			main(report.HTTP, report.Get, report.Seen, 32, 16_000, 16_500, 16_200),
			main(report.Packages, report.Get, report.NotSeen, 32, 20_000, 20_100, 20_200),
			main(report.HTTP, report.Get, report.NotSeen, 32, 11_000, 11_100, 11_200),
			main(report.Bare, report.Create, "", 32, 15_000, 15_100, 15_200),
			main(report.Packages, report.Create, "", 32, 12_000, 12_100, 12_200),
			main(report.HTTP, report.Create, "", 32, 7_000, 7_100, 7_200),
			handler,
			main(report.Packages, report.Refresh, "", 1, 4_000, 4_100),
			sized(report.Packages, report.Refresh, "", 10_000, 15_000, 15_100),
			sized(report.Packages, report.Refresh, "", 10_000_000, 14_000, 14_100),
			sized(report.Packages, report.Get, report.Seen, 10_000, 42_000, 42_100),
			sized(report.Packages, report.Get, report.Seen, 10_000_000, 31_000, 31_100),
			checkpoint(report.AfterCheckpoint, 10_000_000, 9_000, 9_100),
			checkpoint(report.Steady, 10_000_000, 14_000, 14_100),
			grouped(report.EdgeGroup, report.Limit, report.Unchecked, report.Seen, 60_000, 61_000),
			grouped(report.EdgeGroup, report.Edge, report.Accept, report.Seen, 57_000, 57_100),
			grouped(report.EdgeGroup, report.Limit, report.BareCheck, report.NotSeen, 24_000, 24_100),
			grouped(report.EdgeGroup, report.Edge, report.Accept, report.NotSeen, 21_000, 21_100),
			grouped(report.SCSGroup, report.Rivals, rivals.SCSName, report.Seen, 15_000, 15_100),
			grouped(report.SCSGroup, report.HTTP, report.Get, report.Seen, 16_200, 16_200),
			grouped(report.FollowGroup, report.Packages, report.Refresh, report.NotFollowed, 14_000, 14_100),
			grouped(report.FollowGroup, report.Packages, report.Refresh, report.Followed, 13_900, 14_000),
			grouped(report.FollowGroup, report.Packages, report.Refresh, report.Busy, 13_500, 13_600),
			grouped(report.FollowGroup, report.Packages, report.Refresh, report.FollowedBusily, 13_400, 13_500),
			grouped(report.FollowGroup, report.Packages, report.Create, report.NotFollowed, 12_000, 12_100),
		},
		Latencies: []report.Latency{
			{Operation: report.Refresh, Sessions: 1_000_000, Connections: 32, Load: 0.5, PerSecond: 5500, Calls: 27_500, P50: 0.7, P99: 6.7, P999: 11.1, Late: 0.2},
			{Operation: report.Get, Variant: report.Seen, Sessions: 1_000_000, Connections: 1, Load: 0.8, PerSecond: 4000, Calls: 20_000, P50: 0.3, P99: 1.7, P999: 2.1, Late: 0.1},
		},
		Counts: []report.Count{
			{Operation: report.Refresh, RoundTrips: 1, Allocations: 54, AllocatedBytes: 4567},
			{Operation: report.Get, Variant: report.Seen, RoundTrips: 1, Allocations: 61, AllocatedBytes: 3456},
		},
		Service: report.Service{Started: []float64{22, 21, 30}, Memory: 95 << 20, Connections: 128, BinaryBytes: 28 << 20},
		Revocations: report.Revocations{
			Alone: report.Times{Count: 500, P50: 2.1, P99: 8.4, Max: 12.3}, Busy: report.Times{Count: 500, P50: 9.1, P99: 61.4, Max: 72.3},
			MillionBytes: 37 << 20,
		},
		Cleanups: []report.Cleanup{
			{Sessions: 10_000, Removed: 10_000, Microseconds: []float64{90, 92}, DatabaseCPU: []float64{80, 81}, Blocks: []float64{40, 40}, WAL: []float64{500, 510}, Batches: []int{20, 21}},
			{Sessions: 10_000_000, Removed: 10_000, Microseconds: []float64{99, 101}, DatabaseCPU: []float64{85, 86}, Blocks: []float64{44, 44}, WAL: []float64{505, 512}, Batches: []int{22, 23}},
		},
		CleanupBeside: report.CleanupBeside{
			Sessions: 1_000_000, Removed: 500_000, Seconds: 151.2, Load: 0.5,
			Without: report.Latency{PerSecond: 4800, Calls: 96_000, P50: 1.4, P99: 6.7, P999: 9.8, Late: 0.7},
			With:    report.Latency{PerSecond: 4790, Calls: 725_000, P50: 1.9, P99: 14.7, P999: 33.3, Late: 0.9},
		},
		Rivals: []report.Rival{
			{Name: rivals.CompasName, Operation: report.Refresh, PerSecond: 1400, P50: 21.9, P99: 35.3, Note: "0.5.5 on Node"},
			{Name: rivals.SCSName, Operation: "read over HTTP", PerSecond: 15_000, P50: 1.4, P99: 6.3},
		},
		Missing: []string{"create: the registry\nis away"},
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()

	results := sample()
	documents := report.Pictures(results)
	documents["performance.md"] = report.Markdown(results, "performance")
	for name, got := range documents {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("%v (go test ./internal/report -update makes it)", err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if len(documents) != 5 {
		t.Errorf("there are %d documents", len(documents))
	}
}

func TestPicturesAreXML(t *testing.T) {
	t.Parallel()

	for name, picture := range report.Pictures(sample()) {
		decoder := xml.NewDecoder(strings.NewReader(string(picture)))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()

	verdicts := make(map[string]string)
	for _, target := range report.Targets(sample()) {
		verdicts[target.What] = target.Verdict() + ": " + target.Measured
	}
	want := map[string]string{
		"create through the packages, of its statement alone":                             "no: 80 % (80–80)",
		"get through the packages, of its statement alone (token presented before)":       "yes: 96 % (93–98)",
		"get through the packages, of its statement alone (token never presented before)": "no: 44 % (44–46)",
		"refresh through the packages, of its statement alone":                            "yes: 94 % (94–95)",
		"refresh through the packages, of a one-row update by primary key":                "yes: 75 % (74–75)",
		"refresh over HTTP, of the packages":                                              "yes: 77 % (73–80)",
		"get with 10 million sessions, of 10 thousand (token presented before)":           "no: 74 % (74–74)",
		"get with 10 million sessions, of 10 thousand (token never presented before)":     "not measured: ",
		"refresh with 10 million sessions, of 10 thousand":                                "yes: 93 % (93–93)",
		"a token that was accepted before at the edge, of the handler without a check":    "yes: 94 % (94–95)",
		"a token that comes for the first time, of golang-jwt's signature check alone":    "no: 88 % (88–88)",
		"from revocation to refusal in another process, p99":                              "no: 8.4 ms, beside refreshes 61.4 ms",
		"memory of a million revoked sessions":                                            "yes: 37 MiB",
		"refresh while a replica follows revocations, of refresh while nobody does":       "yes: 99 % (99–99)",
		"create likewise": "not measured: ",
		"removing an expired session from the largest table, times what it takes in the smallest one": "yes: 10 million sessions, of 10 thousand: time 1.10 × (1.10–1.10), blocks 1.10 ×, WAL 1.01 ×",
		"refresh over HTTP while expired rows are removed, p99, times what it is without":             "no: 2.2 × (14.7 of 6.70 ms), 1 million rows",
		"round trips to the database for an operation":                                                "yes: 1 at the most",
		"memory of the service under full load":                                                       "yes: 95 MiB at 128 connections",
		"start of the program until it is ready":                                                      "yes: 22 ms (21–30)",
		"refresh over HTTP, times @compas/store's function":                                           "yes: 7.9 ×",
		"create over HTTP, times @compas/store's function":                                            "not measured: ",
		"introspection, of alexedwards/scs's middleware":                                              "yes: 108 % (107–108)",
	}
	if diff := cmp.Diff(want, verdicts); diff != "" {
		t.Error(diff)
	}
}

func TestTargetsOfNothingAreNotReached(t *testing.T) {
	t.Parallel()

	for _, target := range report.Targets(report.Results{}) {
		if target.Verdict() != "not measured" {
			t.Errorf("%s: %s", target.What, target.Verdict())
		}
	}
	if got := string(report.Markdown(report.Results{}, "x")); strings.Contains(got, ".svg") {
		t.Error("a report of nothing has a picture")
	}
}
