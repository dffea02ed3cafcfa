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

	cpu := func() time.Duration {
		used, err := machine.CPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		return used
	}
	before := cpu()
	child := exec.CommandContext(t.Context(), "/bin/sh", "-c", "while :; do :; done")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	running := cpu()
	for deadline := time.Now().Add(time.Minute); running-before < 50*time.Millisecond; running = cpu() {
		if time.Now().After(deadline) {
			t.Fatalf("a busy child took %v of the processor", running-before)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if parent, err := machine.Parent(child.Process.Pid); err != nil || parent != os.Getpid() {
		t.Errorf("its parent is %d (%v), not %d", parent, err, os.Getpid())
	}

	_, _ = child.Process.Kill(), child.Wait()
	if after := cpu(); after < running {
		t.Errorf("it is forgotten that a child that has ended had taken %v", running-after)
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
	if most, err := machine.MostMemory(os.Getpid()); err != nil || most < 1<<20 || most > facts.MemoryBytes {
		t.Errorf("this process took %d bytes of memory (%v)", most, err)
	}
}
