package soak_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

const command = "github.com/latchkey-sessions/latchkey/cmd/api"

func TestMain(m *testing.M) {
	os.Exit(testservice.MainWithClocks(func() int { return testdb.Main(m) }))
}

// watchSources looks at the command's sources. go test takes the result of an earlier run for this one's unless
// something changed that a test looked at, and this test imports nothing of what it tests.
func watchSources(t *testing.T) {
	t.Helper()
	dirs, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.Dir}}{{end}}{{end}}", command).Output()
	if err != nil {
		t.Fatal(err)
	}
	for dir := range strings.Lines(string(dirs)) {
		if _, err := os.ReadDir(strings.TrimSpace(dir)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat("../../go.sum"); err != nil {
		t.Fatal(err)
	}
}
