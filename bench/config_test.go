package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
)

func TestFlags(t *testing.T) {
	t.Parallel()

	full, err := parseFlags(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{10_000, 1_000_000, 10_000_000}, []int(full.sizes)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 8, 32, 128}, []int(full.workers)); diff != "" {
		t.Error(diff)
	}
	if full.mainSize() != 1_000_000 || full.mainWorkers() != 32 || full.folder() != "../docs/performance" {
		t.Errorf("%d sessions, %d workers, folder %s", full.mainSize(), full.mainWorkers(), full.folder())
	}

	quick, err := parseFlags([]string{"-quick", "-concurrency", "4, 2,4", "-only", "^HTTP"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{2, 4}, []int(quick.workers)); diff != "" {
		t.Error(diff)
	}
	if quick.mainSize() != 10_000 || quick.mainWorkers() != 4 || !quick.only.MatchString("HTTP: get") {
		t.Errorf("%d sessions, %d workers, only %v", quick.mainSize(), quick.mainWorkers(), quick.only)
	}
}

func TestWrongFlagsAreNamed(t *testing.T) {
	t.Parallel()

	for _, test := range [][]string{
		{"-sizes", "10,x"},
		{"-sizes", "0"},
		{"-sizes", "100"},
		{"-concurrency", "1000"},
		{"-concurrency", "-1"},
		{"-only", "("},
		{"-duration", "1ms"},
		{"-rounds", "-1"},
		{"-sample", "5"},
	} {
		if _, err := parseFlags(test, io.Discard); err == nil || !strings.Contains(err.Error(), test[0]) {
			t.Errorf("%v: %v", test, err)
		}
	}
	if _, err := parseFlags([]string{"quick"}, io.Discard); err == nil {
		t.Error("an argument that is no flag passed")
	}
}

func TestItRefusesWhereThereIsNoDisk(t *testing.T) {
	t.Parallel()

	const memory = "/dev/shm"
	if !machine.InMemory(memory) {
		t.Skip("this machine has no " + memory)
	}
	cfg, err := parseFlags([]string{"-dir", memory}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.checkDisk(); err == nil || !strings.Contains(err.Error(), "-dir") {
		t.Errorf("got %v", err)
	}
	cfg.dir, cfg.sizes = t.TempDir(), []int{1 << 50 / bytesPerSession}
	if err := cfg.checkDisk(); err == nil || !strings.Contains(err.Error(), "GB are needed") {
		t.Errorf("got %v", err)
	}
}

func TestThePlanIsAsShortAsPromised(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		arguments []string
		most      time.Duration
	}{{[]string{"-quick"}, 2 * time.Minute}, {nil, 27 * time.Minute}} {
		cfg, err := parseFlags(test.arguments, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		var planned time.Duration
		for _, task := range (&bench{cfg: cfg}).plan() {
			planned += task.estimate
			t.Logf("%8v %s", task.estimate.Round(time.Second), task.name)
		}
		t.Logf("%v in all", planned)
		if planned > test.most {
			t.Errorf("%v: %v are planned", test.arguments, planned)
		}
	}
}
