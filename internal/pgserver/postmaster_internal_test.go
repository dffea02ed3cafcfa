package pgserver

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// launched returns a server of the test's own, and the folder with its data.
func launched(t *testing.T) (*Server, string) {
	t.Helper()

	server, err := Start(t.Context(), Config{Dir: openDir(t), Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Error(err)
		}
	})

	return server, filepath.Join(server.home, dataName)
}

// The owner was killed together with what was to end its server.
func TestTakeOverOfALivingServer(t *testing.T) {
	t.Parallel()
	server, data := launched(t)
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}

	orphan := server.account.command(t.Context(), server.programs.path("postgres"), append([]string{"-D", data, "-p", strconv.Itoa(server.port)}, server.settings()...)...)
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	for server.ping(t.Context()) != nil {
		if err := pause(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := orphan.Wait(); err != nil {
		t.Errorf("the orphan was not shut down in order: %v", err)
	}
	if pm, err := readPostmaster(data); err != nil || pm.pid != server.process.cmd.Process.Pid {
		t.Errorf("process %d serves the data (%v), want %d", pm.pid, err, server.process.cmd.Process.Pid)
	}
}

// After a crash, the number in postmaster.pid may belong to anything: where a container restarts, it usually does.
func TestNumberOfAnotherProcess(t *testing.T) {
	t.Parallel()
	server, data := launched(t)
	if err := server.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}

	other := server.account.command(t.Context(), "/bin/sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = other.Process.Kill()
		_ = other.Wait() // it was killed, and says so
	})
	name := filepath.Join(data, "postmaster.pid")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	if err := os.WriteFile(name, append([]byte(strconv.Itoa(other.Process.Pid)+"\n"), rest...), 0o600); err != nil {
		t.Fatal(err)
	}

	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the other process was ended: %v", err)
	}
}
