package client_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A backend that imports the client gets neither a database driver nor a router.
func TestDependencies(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if .Module}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"github.com/google/uuid",
		"github.com/latchkey-sessions/latchkey/client",
		"github.com/latchkey-sessions/latchkey/internal/sessionerr",
	}
	if diff := cmp.Diff(want, slices.Sorted(strings.FieldsSeq(string(out)))); diff != "" {
		t.Error(diff)
	}
}
