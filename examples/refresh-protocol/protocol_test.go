package refreshprotocol_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The reference in TypeScript does what the test vectors
// require.
func TestVectors(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_WITHOUT_NPM") != "" {
		t.Skip("make clients runs it")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Fatal("npm is not installed: TEST_WITHOUT_NPM=1 leaves this out")
	}
	vectors, err := filepath.Abs("../../docs/refresh-protocol/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	// A copy, so that nothing is installed into the checkout.
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for _, args := range [][]string{{"ci", "--no-audit", "--no-fund", "--prefer-offline"}, {"test"}} {
		command := exec.CommandContext(ctx, "npm", args...)
		command.Dir, command.Env, command.WaitDelay = dir, append(os.Environ(), "VECTORS="+vectors), time.Second
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("npm %v: %v\n%s", args, err, output)
		}
	}
}
