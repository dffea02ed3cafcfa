//go:build unix

package pgserver

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

// Earlier versions had a port and no socket.
func TestServerOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	server, data := launched(t)
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(server.socket.path); err != nil {
		t.Fatal(err)
	}
	port, err := freePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	lock, err := acquire(t.Context(), server.cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	earlier := server.account.command(t.Context(), server.programs.path("postgres"),
		"-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
	if err := earlier.Start(); err != nil {
		t.Fatal(err)
	}
	address, err := Attach(t.Context(), server.cfg.Dir)
	if want := "require_auth=scram-sha-256"; err != nil || address.port != port || !strings.Contains(address.URL("postgres"), want) {
		t.Errorf("attached to %s: %v; want port %d and %s", address, err, port, want)
	}

	// Its owner is killed, and this version comes.
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := earlier.Wait(); err != nil {
		t.Errorf("the earlier server was not shut down in order: %v", err)
	}
	if address, err := Attach(t.Context(), server.cfg.Dir); err != nil || address.URL("x") != server.URL("x") {
		t.Errorf("attached to %s: %v; want %s", address, err, server)
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
	text = append([]byte(strconv.Itoa(other.Process.Pid)+"\n"), rest...)
	for _, name := range []string{name, filepath.Join(server.socket.path, ".s.PGSQL.5432.lock")} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the other process was ended: %v", err)
	}
}
