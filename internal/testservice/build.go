// Package testservice builds the command and runs it for tests, including those of the modules below test: with keys, on
// a database, until the test ends.
package testservice

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const module = "github.com/latchkey-sessions/latchkey"

// program is the path of the built command. It is a variable of the package because only TestMain outlives a test.
var program string

// Main builds the command for TestMain, with the race detector if the tests have it: a race ends the process
// with a status that no test expects. linkFlags are more flags for the linker. It returns the exit code of run, which runs
// the tests.
func Main(run func() int, linkFlags ...string) int { return mainWith(run, nil, linkFlags) }

func mainWith(run func() int, buildFlags, linkFlags []string) int {
	dir, err := os.MkdirTemp("", "latchkey-api-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		program = filepath.Join(dir, "api")
		err = build(buildFlags, linkFlags)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}

// Program returns the path of the built command.
func Program() string { return program }

func build(buildFlags, linkFlags []string) error {
	// Another module lacks some of the command's requirements.
	root, err := goTool("", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return err
	}
	// It is not debugged, and linking it without symbols takes two thirds of the time.
	args := append([]string{"build", "-o", program, "-ldflags", strings.Join(append(linkFlags, "-s", "-w"), " ")}, buildFlags...)
	if raceEnabled {
		args = append(args, "-race")
	}
	_, err = goTool(strings.TrimSpace(root), append(args, "./cmd/api")...)
	return err
}

func goTool(dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), "go", args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, &stderr)
	}
	return string(out), nil
}
