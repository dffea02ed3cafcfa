package main_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// program is the built command, which is what these tests run.
var program string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "latchkey-api-")
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
	args := []string{"build", "-o", path, "-ldflags", "-X main.version=v1.2.3"}
	if raceEnabled {
		args = append(args, "-race") // a race ends the process with a status of its own, which no test expects
	}
	output, err := exec.CommandContext(context.Background(), "go", append(args, ".")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the command: %w\n%s", err, output)
	}
	return nil
}
