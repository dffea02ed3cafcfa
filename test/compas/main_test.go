package compas_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

const (
	// root is the service's module.
	root = "../.."

	// patience covers what takes long on a slow and busy machine.
	patience = 2 * time.Minute
)

var (
	// program is the built command.
	program string
	// driver is the folder that has npm's packages, and driver.mjs.
	driver string
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "latchkey-compas-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		program, driver = filepath.Join(dir, "api"), filepath.Join(dir, "npm")
		err = prepare()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return testdb.Main(m)
}

// prepare builds the service and installs Compas, which takes some seconds. Nothing is installed into the checkout.
func prepare() error {
	if err := os.CopyFS(driver, os.DirFS("npm")); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(driver, "node_modules")); err != nil {
		return err
	}
	if err := run(root, "go", "build", "-o", program, "./cmd/api"); err != nil {
		return err
	}
	return run(driver, "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts")
}

func run(dir, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	return nil
}
