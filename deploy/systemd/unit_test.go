package systemd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The unit is one that systemd takes, and leaves the service little that it does not need.
func TestUnit(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("the test needs systemd-analyze, which is not installed")
	}
	unit, err := os.ReadFile("latchkey.service")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable() // systemd looks whether it is there
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "latchkey.service")
	if err := os.WriteFile(path, []byte(strings.Replace(string(unit), "/usr/bin/latchkey", program, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	// It only warns of directives that it does not know.
	verify := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", path)
	if output, err := verify.CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, output)
	}
	const most = "12" // tenths of systemd's measure of exposure, which goes up to 10
	security := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=yes", "--threshold="+most, "--no-pager", path)
	if output, err := security.CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, output)
	}
}
