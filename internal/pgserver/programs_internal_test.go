//go:build unix

package pgserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakePrograms puts programs that only know their version into a folder, and returns it.
func fakePrograms(t *testing.T, root, name, version string, programs ...string) string {
	t.Helper()

	bin := filepath.Join(root, name, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	// A program that another test starts meanwhile would inherit the open file, and a file that is open for writing
	// cannot be executed.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for _, program := range programs {
		script := fmt.Sprintf("#!/bin/sh\necho '%s (PostgreSQL) %s'\n", program, version)
		if err := os.WriteFile(filepath.Join(bin, program), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}

	return bin
}

// openDir returns an empty folder that every user may enter, unlike testing's own.
func openDir(t *testing.T) string {
	t.Helper()

	dir, err := os.MkdirTemp("", "latchkey-pgserver-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}

	return dir
}

func testAccount(t *testing.T) account {
	t.Helper()

	a, err := accountFor("")
	if err != nil {
		t.Fatal(err)
	}

	return a
}

func TestSearchFindsTheNewest(t *testing.T) {
	t.Parallel()
	root := openDir(t)

	all := []string{"postgres", "initdb"}
	nine := fakePrograms(t, root, "9", "14.9", all...)
	ten := fakePrograms(t, root, "10", "14.10 (Debian 14.10-1.pgdg120+1)", all...)
	beta := fakePrograms(t, root, "19", "19beta2", all...)
	seventeen := fakePrograms(t, root, "17", "17.5 (Homebrew)", all...)
	fakePrograms(t, root, "11", "9.6.24", all...)            // too old
	fakePrograms(t, root, "12", "18.1", "postgres")          // half a package
	fakePrograms(t, root, "13", "18.1", "initdb", "psql")    // the other half
	fakePrograms(t, root, "14", "unknown to anyone", all...) // something else
	unreachable := fakePrograms(t, root, "18", "18.3", all...)
	if err := os.Chmod(filepath.Join(unreachable, "postgres"), 0o600); err != nil {
		t.Fatal(err)
	}

	got := search{patterns: []string{filepath.Join(root, "*", "bin"), filepath.Join(root, "17", "bin"), "[", "/nowhere/*"}}.run(t.Context(), testAccount(t))
	want := []Programs{{beta, 19, 0}, {seventeen, 17, 5}, {ten, 14, 10}, {nine, 14, 9}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Debian's packages put a link to postgres on the PATH, if anything; the other programs lie next to what it points to.
func TestSearchFollowsThePath(t *testing.T) {
	t.Parallel()
	root := openDir(t)

	bin := fakePrograms(t, root, "real", "17.5", "postgres", "initdb")
	link := filepath.Join(root, "postgres")
	if err := os.Symlink(filepath.Join(bin, "postgres"), link); err != nil {
		t.Fatal(err)
	}
	other := fakePrograms(t, root, "same", "17.5", "postgres", "initdb")

	// A name with a slash in it is looked up unchanged.
	got := search{patterns: []string{other, bin}, path: link}.run(t.Context(), testAccount(t))
	want := []Programs{{bin, 17, 5}, {other, 17, 5}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestObtainSaysWhatToDo(t *testing.T) {
	t.Parallel()
	nowhere := download{cache: openDir(t), repository: "http://127.0.0.1:1"}

	_, err := obtain(t.Context(), testAccount(t), search{}, nowhere, 0)
	if !errors.Is(err, ErrNoPrograms) {
		t.Fatalf("got %v, want ErrNoPrograms", err)
	}
	for _, want := range []string{"unable to connect", "install PostgreSQL", "docker compose up", "LATCHKEY_DATABASE_URL"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %s", err)
	}

	// The downloaded programs could not run older data.
	_, err = obtain(t.Context(), testAccount(t), search{}, nowhere, 15)
	if !errors.Is(err, ErrNoPrograms) || !strings.Contains(err.Error(), "install PostgreSQL 15") {
		t.Errorf("got %v, want to be told of PostgreSQL 15", err)
	}
}
