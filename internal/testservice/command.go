package testservice

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testdir"
)

// Patience covers a first start, including making a database, on a slow and busy machine.
const Patience = 2 * time.Minute

// Env is the environment of a process: settings, and from the machine's only what programs need.
type Env map[string]string

// With returns the environment with more settings, or others.
func (e Env) With(more Env) Env {
	all := Env{}
	maps.Copy(all, e)
	maps.Copy(all, more)
	return all
}

// List returns the environment in the form that [exec.Cmd] requires.
func (e Env) List() []string {
	list := []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GORACE=atexit_sleep_ms=0"}
	for k, v := range e {
		list = append(list, k+"="+v)
	}
	return list
}

// Command returns the built command, to run in the folder dir.
func Command(ctx context.Context, dir string, settings Env, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, settings.List()
	return cmd
}

// Run runs the command, which must succeed, and returns its standard output.
func Run(t *testing.T, dir string, settings Env, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	cmd := Command(ctx, dir, settings, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("api %s: %v: %s", strings.Join(args, " "), err, &stderr)
	}
	return string(out)
}

// Place returns a folder that other users, such as PostgreSQL's, can reach even if the tests run as root.
func Place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(testdir.Fast(), "latchkey-place-") //nolint:usetesting // that is its own user's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Key is the service key that [OnDatabase] sets.
const Key = "0123456789abcdef0123456789abcdef"

// OnDatabase returns the settings of a service on a database, with keys as an operator makes them.
func OnDatabase(t *testing.T, database string) Env {
	t.Helper()
	dir := t.TempDir()
	Run(t, dir, nil, "keys", "init", "--dir", dir)
	return WithKeys(dir, database)
}

// WithKeys returns the settings of a service on a database, with the keys that `keys init` has made in a folder.
func WithKeys(dir, database string) Env {
	return Env{
		"LATCHKEY_DATABASE_URL": database, "LATCHKEY_SIGNING_KEYS_FILE": filepath.Join(dir, "signing-keys.json"),
		"LATCHKEY_SERVICE_KEYS": "backend:" + Key, "LATCHKEY_ISSUER": "https://login.example.com",
	}
}
