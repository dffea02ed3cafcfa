package audit_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/audit"
)

func contents(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	file, err := audit.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	write := func(text string) {
		t.Helper()
		if n, err := file.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
	}
	write("a\n")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	other, err := audit.OpenFile(path) // another process
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if _, err := other.Write([]byte("b\n")); err != nil {
		t.Fatal(err)
	}
	write("c\n")
	if got := contents(t, path); got != "a\nb\nc\n" {
		t.Errorf("appended: %q", got)
	}
	// logrotate's copytruncate.
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	write("d\n")
	if got := contents(t, path); got != "d\n" {
		t.Errorf("after it was truncated: %q", got)
	}
	// logrotate's own way.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		write("e\n")
		if _, err := os.Stat(path); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it continues in the file that was moved away")
		}
	}
	if got := contents(t, path); got != "e\n" {
		t.Errorf("the new file has %q", got)
	}
}

func TestFileThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	if _, err := audit.OpenFile(filepath.Join(t.TempDir(), "nowhere", "audit.log")); err == nil {
		t.Error("no error")
	}
}
