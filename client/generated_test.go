package client_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The types are those of the current description.
func TestGenerated(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "types.gen.go")
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=../tools/go.mod",
		"oapi-codegen", "-config", "oapi-codegen.yaml", "-o", file, "../httpapi/openapi.yaml")
	if printed, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("types.gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(have)); diff != "" {
		t.Errorf("httpapi/openapi.yaml has changed: make generate\n%s", diff)
	}
}
