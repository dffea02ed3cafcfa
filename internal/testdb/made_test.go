package testdb_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// Test binaries that run at the same time copy what one of them made, and none of it is there when they have ended.
func TestDataIsMadeOnce(t *testing.T) {
	if os.Getenv(role) == "identify" {
		identify(t)
		return
	}
	t.Parallel()

	temp := t.TempDir()
	if err := os.Chmod(filepath.Dir(temp), 0o711); err != nil { // as root, another user runs the servers
		t.Fatal(err)
	}
	first, endFirst := binary(t, temp)
	second, endSecond := binary(t, temp)
	if first == "" || second != first {
		t.Errorf("the second binary's server is %q, want a copy of what the first one made, %q", second, first)
	}
	links, err := filepath.Glob(filepath.Join(temp, "latchkey-made-*"))
	if err != nil || len(links) != 1 {
		t.Fatalf("links to what was made: %v, %v", links, err)
	}

	// The second one has its own copy; it is the first one's link.
	endFirst()
	if _, err := os.Lstat(links[0]); !os.IsNotExist(err) {
		t.Errorf("the link outlives its binary: %v", err)
	}
	endSecond()
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	// As after a power cut.
	if err := os.Symlink(filepath.Join(temp, "gone"), links[0]); err != nil {
		t.Fatal(err)
	}
	third, endThird := binary(t, temp)
	endThird()
	if third == "" || third == first {
		t.Errorf("the third binary's server is %q, want one that it made itself", third)
	}
}

// identify prints what a server shares only with its copies, and runs until it is ended.
func identify(t *testing.T) {
	t.Helper()

	var identifier string
	if err := testdb.NewServer(t).Pool().QueryRow(t.Context(), `SELECT system_identifier::text FROM pg_control_system()`).Scan(&identifier); err != nil {
		t.Fatal(err)
	}
	fmt.Println("server", identifier)
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		t.Fatal(err)
	}
}

// binary runs this test binary as another one whose server stays until end is called, and returns what that is.
func binary(t *testing.T, temp string) (identifier string, end func()) {
	t.Helper()

	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDataIsMadeOnce$")
	child.Env = append(os.Environ(), role+"=identify", "TMPDIR="+temp, "TEST_POSTGRES=", "TEST_DATABASE_URL=")
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(stdout); identifier == "" && lines.Scan(); {
		if text, found := strings.CutPrefix(lines.Text(), "server "); found {
			identifier = text
		}
	}

	return identifier, func() {
		t.Helper()
		if err := stdin.Close(); err != nil {
			t.Error(err)
		}
		if err := child.Wait(); err != nil {
			t.Error(err)
		}
	}
}
