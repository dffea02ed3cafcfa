package main_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/command"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

const testKey = testservice.Key

type env = testservice.Env

// result is how a command ended.
type result struct {
	code           int
	stdout, stderr string
}

// builtVersion is what TestMain stamps.
const builtVersion = "v1.2.3"

// line runs a command line to its end as the built command does, but in the test's own process: starting another one takes
// longer with the race detector than most command lines. Commands that depend on the folder, or serve, are for [api].
func line(settings env, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := command.Run("api", builtVersion, args, settings.List(), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// mustLine is [line] for what must end well, and returns what it printed.
func mustLine(t *testing.T, settings env, args ...string) string {
	t.Helper()
	r := line(settings, args...)
	if r.code != 0 {
		t.Fatalf("api %s: exit code %d: %s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// api runs the built command to its end, in a folder of the test's.
func api(t *testing.T, settings env, args ...string) result {
	t.Helper()
	return apiIn(t, t.TempDir(), settings, args...)
}

func apiIn(t *testing.T, dir string, settings env, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testservice.Patience)
	defer cancel()
	cmd := testservice.Command(ctx, dir, settings, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Fatalf("api %s: %v", strings.Join(args, " "), err)
		}
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// mustAPI runs the command and returns what it printed. It must end well.
func mustAPI(t *testing.T, dir string, settings env, args ...string) string {
	t.Helper()
	return testservice.Run(t, dir, settings, args...)
}

// configure returns the settings of a service on a database, as an operator makes them.
func configure(t *testing.T, database string) env {
	t.Helper()
	dir := t.TempDir()
	mustLine(t, nil, "keys", "init", "--dir", dir)
	return testservice.WithKeys(dir, database)
}

// place is a folder that PostgreSQL's user can reach too. Its name has a space.
func place(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(testservice.Place(t), "a place")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// service is a running api serve.
type service struct {
	*testservice.Service
	t *testing.T
}

// start starts the service on ports that the system chooses, and waits until it is ready.
func start(t *testing.T, dir string, settings env) *service {
	t.Helper()
	return &service{testservice.Start(t, dir, settings), t}
}

func launch(t *testing.T, dir string, settings env, args ...string) *service {
	t.Helper()
	return &service{testservice.Launch(t, dir, settings, args...), t}
}

func readFile(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func writeFile(t *testing.T, content string, path ...string) string {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
