package machine_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
)

func TestCPUCountsChildren(t *testing.T) {
	t.Parallel()

	before, err := machine.CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), "/bin/sh", "-c", "while :; do :; done")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	running, err := machine.CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if running-before < 50*time.Millisecond {
		t.Errorf("a busy child took %v of the processor", running-before)
	}
	if parent, err := machine.Parent(child.Process.Pid); err != nil || parent != os.Getpid() {
		t.Errorf("its parent is %d (%v), not %d", parent, err, os.Getpid())
	}

	_, _ = child.Process.Kill(), child.Wait()
	after, err := machine.CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after < running {
		t.Errorf("it is forgotten that a child that has ended had taken %v", running-after)
	}
}

func TestRSS(t *testing.T) {
	t.Parallel()

	now, most, err := machine.RSS(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if now < 1<<20 || most < now {
		t.Errorf("now %d, at most %d", now, most)
	}
}

func TestLook(t *testing.T) {
	t.Parallel()

	facts, err := machine.Look(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if facts.Cores < 1 || facts.MemoryBytes < 1<<20 || facts.Fsync <= 0 || facts.Kernel == "" || facts.CPU == "" {
		t.Errorf("got %+v", facts)
	}
	if machine.InMemory("/proc") || machine.InMemory("/nowhere") {
		t.Error("what is not in memory is said to be")
	}
	if free, err := machine.FreeDisk(t.TempDir()); err != nil || free <= 0 {
		t.Errorf("%d bytes are free (%v)", free, err)
	}
}
