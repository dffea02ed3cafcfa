package soak_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

const command = "github.com/latchkey-sessions/latchkey/cmd/api"

// program is the built command.
var program string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "latchkey-soak-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		program = filepath.Join(dir, "api")
		err = build(program)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return testdb.Main(m)
}

func build(path string) error {
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race") // what it finds is a line that is no JSON in the log
	}
	_, err := goTool(append(args, command)...)
	return err
}

// watchSources looks at the command's sources. go test takes the result of an earlier run for this one's unless
// something changed that a test looked at, and this test imports nothing of what it tests.
func watchSources(t *testing.T) {
	t.Helper()
	dirs, err := goTool("list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.Dir}}{{end}}{{end}}", command)
	if err != nil {
		t.Fatal(err)
	}
	for dir := range strings.Lines(dirs) {
		if _, err := os.ReadDir(strings.TrimSpace(dir)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat("../../go.sum"); err != nil {
		t.Fatal(err)
	}
}

func goTool(args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), "go", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, &stderr)
	}
	return string(out), nil
}
