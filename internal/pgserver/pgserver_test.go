//go:build unix

package pgserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
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

func TestStart(t *testing.T) {
	t.Parallel()
	dir := folder(t)

	server := start(t, dir)
	keep(t, server)
	stop(t, server)
	if state := controlData(t, dir); !strings.Contains(state, "shut down\n") {
		t.Errorf("the stop was not a clean one: %s", state)
	}

	again := start(t, dir)
	kept(t, again)
	for question, want := range map[string]string{
		`SHOW server_encoding`:         "UTF8",
		`SHOW lc_collate`:              "C",
		`SHOW data_checksums`:          "on",
		`SHOW listen_addresses`:        "",
		`SHOW unix_socket_directories`: filepath.Join(dir, "postgres", "socket"),
		`SHOW fsync`:                   "off", // Config.Settings
	} {
		if strings.HasSuffix(question, "lc_collate") {
			question = `SELECT datcollate FROM pg_database WHERE datname = 'template1'` // the setting is gone since version 16
		}
		if got := query(t, again, question); got != want {
			t.Errorf("%s: got %q, want %q", question, got, want)
		}
	}
}

// No other user of the machine may get in: neither without the password nor by reading it.
func TestOthersAreLockedOut(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	server := start(t, dir)

	u, err := url.Parse(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []*url.Userinfo{url.User("latchkey"), url.UserPassword("latchkey", "guess"), url.User("postgres")} {
		u.User = user
		if conn, err := pgx.Connect(t.Context(), u.String()); err == nil {
			t.Errorf("%s got in", user)
			_ = conn.Close(t.Context())
		}
	}

	home := filepath.Join(dir, "postgres")
	for name, want := range map[string]os.FileMode{"data": 0o700, "data/latchkey.password": 0o600, "postgres.log": 0o600} {
		info, err := os.Stat(filepath.Join(home, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode().Perm(), want)
		}
	}
	for _, text := range []string{fmt.Sprint(server.Address), fmt.Sprintf("%v", server.LogValue())} {
		if strings.Contains(text, password(t, server)) {
			t.Errorf("%s holds the password", text)
		}
	}
}

func TestSecondStart(t *testing.T) {
	t.Parallel()
	dir := database(t)
	server := start(t, dir)

	_, err := pgserver.Start(t.Context(), config(dir))
	if !errors.Is(err, pgserver.ErrRunning) {
		t.Fatalf("got %v, want ErrRunning", err)
	}
	if want := fmt.Sprintf("%s: its database is in use by process %d", dir, os.Getpid()); err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}

	address, err := pgserver.Attach(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if address.URL("postgres") != server.URL("postgres") {
		t.Errorf("attached to %s, want %s", address, server)
	}

	stop(t, server)
	if _, err := pgserver.Attach(t.Context(), dir); !errors.Is(err, pgserver.ErrNotRunning) {
		t.Errorf("got %v, want ErrNotRunning", err)
	}
	if _, err := pgserver.Attach(t.Context(), t.TempDir()); !errors.Is(err, pgserver.ErrNotRunning) {
		t.Errorf("got %v, want ErrNotRunning where nothing has ever run", err)
	}
}

// A command that is started together with the service finds the service's server, however long that takes to start.
func TestAttachWaits(t *testing.T) {
	t.Parallel()
	dir := folder(t)

	type attached struct {
		address pgserver.Address
		err     error
	}
	result := make(chan attached, 1)
	go func() {
		for {
			address, err := pgserver.Attach(t.Context(), dir)
			if !errors.Is(err, pgserver.ErrNotRunning) {
				result <- attached{address, err}
				return
			}
		}
	}()
	server := start(t, dir)
	if got := <-result; got.err != nil || got.address.URL("x") != server.URL("x") {
		t.Errorf("got %s and %v, want %s", got.address, got.err, server)
	}
}

func TestCrashOfTheServer(t *testing.T) {
	t.Parallel()
	server := start(t, database(t))
	keep(t, server)
	address, done := server.URL("postgres"), server.Done()

	if err := server.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	default:
		t.Error("Done is open after Kill")
	}
	if conn, err := pgx.Connect(t.Context(), address); err == nil {
		t.Error("a killed server answers")
		_ = conn.Close(t.Context())
	}

	for range 2 { // the second does nothing
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if server.URL("postgres") != address {
		t.Errorf("the server is at %s now, and was at %s", server.URL("postgres"), address)
	}
	kept(t, server)
}

func TestDeathFromOutside(t *testing.T) {
	t.Parallel()
	dir := database(t)
	server := start(t, dir)

	if err := syscall.Kill(postmasterPID(t, dir), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-server.Done():
	case <-time.After(time.Minute):
		t.Fatal("Done is open, though the server was ended")
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A Ctrl-C at the terminal goes to the process group and the session's foreground; requests are still to be answered.
func TestTerminalSignalsDoNotReachTheServer(t *testing.T) {
	t.Parallel()
	dir := database(t)
	start(t, dir)

	group, err := syscall.Getpgid(postmasterPID(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if group == syscall.Getpgrp() {
		t.Error("the server is in the process group of its owner")
	}
}

func TestStopGivesUpOnPatience(t *testing.T) {
	t.Parallel()
	dir := database(t)
	server := start(t, dir)
	keep(t, server)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Stop(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	select {
	case <-server.Done():
	default:
		t.Error("the server still runs")
	}
	kept(t, start(t, dir))
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	dir := database(t)

	broken := config(dir)
	broken.Settings["max_connections"] = "many"
	_, err := pgserver.Start(t.Context(), broken)
	if err == nil || !strings.Contains(err.Error(), `invalid value for parameter "max_connections": "many"`) {
		t.Errorf("got %v, want what PostgreSQL said", err)
	}

	start(t, dir) // a start that failed owns nothing
	taken := config(database(t))
	taken.Loopback, taken.Port = true, takenPort(t)
	if _, err := pgserver.Start(t.Context(), taken); err == nil || !strings.Contains(err.Error(), "could not bind") {
		t.Errorf("got %v, want what PostgreSQL said", err)
	}
	if _, err := pgserver.Start(t.Context(), pgserver.Config{}); err == nil {
		t.Error("a server without a folder was started")
	}
}

func TestDataOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := database(t)
	stop(t, start(t, dir))

	version := filepath.Join(dir, "postgres", "data", "PG_VERSION")
	if err := os.WriteFile(version, []byte("12\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := pgserver.Start(t.Context(), config(dir))
	if err == nil || !strings.Contains(err.Error(), "was made by PostgreSQL 12") || !strings.Contains(err.Error(), "install PostgreSQL 12") {
		t.Errorf("got %v, want what to do", err)
	}
}

// controlData returns what PostgreSQL's own tool says about a stopped server's data.
func controlData(t *testing.T, dir string) string {
	t.Helper()

	programs, err := pgserver.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs.Bin, "pg_controldata"), filepath.Join(dir, "postgres", "data"))
	cmd.Env = []string{"LC_ALL=C"}
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}

	return string(output)
}
