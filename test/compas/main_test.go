package compas_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// driver is the folder that has npm's packages, and driver.mjs.
var driver string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "latchkey-compas-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		driver = filepath.Join(dir, "npm")
		err = install()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return testservice.Main(func() int { return testdb.Main(m) })
}

// install installs Compas, which takes some seconds. Nothing is installed into the checkout.
func install() error {
	if err := os.CopyFS(driver, os.DirFS("npm")); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(driver, "node_modules")); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*testservice.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts")
	cmd.Dir = driver
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	return nil
}
