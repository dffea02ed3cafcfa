//go:build unix

package pgserver_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// own makes another process, with these variables in its environment, the owner of dir, and returns its server's URL and
// how to kill it.
func own(t *testing.T, dir string, variables ...string) (address string, kill func()) {
	t.Helper()

	owner := exec.CommandContext(t.Context(), os.Args[0])
	owner.Env = append(append(os.Environ(), variables...), ownerOf+"="+dir)
	owner.Stderr = os.Stderr
	output, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = owner.Process.Kill()
		_ = owner.Wait() // it was killed, and says so
	}
	t.Cleanup(kill)
	address, err = bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("the owner did not start: %v", err)
	}

	return strings.TrimSpace(address), kill
}

func TestOwnerIsKilled(t *testing.T) {
	t.Parallel()
	dir := database(t)

	address, kill := own(t, dir)
	if _, err := pgserver.Start(t.Context(), config(dir)); !errors.Is(err, pgserver.ErrRunning) {
		t.Errorf("got %v, want ErrRunning", err)
	}
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `CREATE TABLE kept AS SELECT 42 AS n`); err != nil {
		t.Fatal(err)
	}
	kill() // while a client is connected

	kept(t, start(t, dir))
}

func TestServerEndsWithItsOwner(t *testing.T) {
	t.Parallel()
	dir := database(t)

	_, kill := own(t, dir)
	pid := postmasterPID(t, dir)
	kill()
	for deadline := time.Now().Add(time.Minute); !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server outlives its owner")
		}
	}
	if state := controlData(t, dir); !strings.Contains(state, "shut down\n") {
		t.Errorf("the server did not end in order: %s", state)
	}
}

func TestFirstStartIsInterrupted(t *testing.T) {
	t.Parallel()
	dir := folder(t)

	// While initdb is at work.
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for ctx.Err() == nil && len(unfinished(t, dir, "data/global")) == 0 {
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := pgserver.Start(ctx, config(dir)); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}

	// While initdb is at work, by a SIGKILL: initdb continues for a while, and then what it made is not used.
	owner := exec.CommandContext(t.Context(), os.Args[0])
	owner.Env = append(os.Environ(), ownerOf+"="+dir)
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	for len(unfinished(t, dir, "data/global")) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait() // it was killed, and says so
	if len(unfinished(t, dir, "")) == 0 {
		t.Fatal("nothing unfinished is left")
	}

	server := start(t, dir)
	if got := query(t, server, `SELECT 42`); got != "42" {
		t.Errorf("got %s", got)
	}
	stop(t, server)
	// Once initdb has done whatever it had still to do, a start removes it.
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		server := start(t, dir)
		left := unfinished(t, dir, "")
		if len(left) == 0 {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%v is still there", left)
		}
		stop(t, server)
	}
}

// unfinished returns the given part of each database that was begun.
func unfinished(t *testing.T, dir, part string) []string {
	t.Helper()

	names, err := filepath.Glob(filepath.Join(dir, "postgres", "unfinished-*", part))
	if err != nil {
		t.Error(err)
	}

	return names
}

// The machine stopped while the server wrote about itself.
func TestPostmasterFileIsCutShort(t *testing.T) {
	t.Parallel()
	dir := database(t)
	stop(t, start(t, dir))

	if err := os.WriteFile(filepath.Join(dir, "postgres", "data", "postmaster.pid"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := query(t, start(t, dir), `SELECT 42`); got != "42" {
		t.Errorf("got %s", got)
	}
}
