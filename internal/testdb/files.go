package testdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/latchkey-sessions/latchkey/internal/testdir"
)

// madePrefix begins the name of the link to the data that a test binary made, next to the folder that
// contains it.
const madePrefix = "latchkey-made-"

// files is where the test binary's servers have their data, and the process that removes it if the binary cannot.
var files struct {
	mu      sync.Mutex
	dir     string
	janitor *exec.Cmd
	work    io.Closer // closing it makes the janitor begin
}

// janitorScript removes the files when the test binary has ended: read returns when the binary's end of the pipe is
// closed. A panic in a test, or go test's own timeout, leaves no other chance. The servers end at the same moment, so
// they may still write while the files are being removed. A link to them goes first: see copyMade.
const janitorScript = `read -r _
for link in "$2"*; do case $(readlink "$link") in "$1"/*) rm -f "$link";; esac; done
for i in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" && exit; sleep 0.5; done; exit 1`

func filesDir(ctx context.Context) (string, error) {
	files.mu.Lock()
	defer files.mu.Unlock()

	if files.dir != "" {
		return files.dir, nil
	}
	root := cmp.Or(testdir.Fast(), os.TempDir())
	dir, err := newFolder(root, "latchkey-test-")
	if err != nil {
		return "", err
	}
	janitor := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", "-c", janitorScript, "sh", dir, filepath.Join(root, madePrefix))
	janitor.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is not meant for it
	work, err := janitor.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := janitor.Start(); err != nil {
		return "", err
	}
	files.dir, files.janitor, files.work = dir, janitor, work

	return dir, nil
}

// newFolder makes a folder that any user may pass through: as root, another user runs the servers.
func newFolder(parent, prefix string) (string, error) {
	dir, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return "", err
	}

	return dir, os.Chmod(dir, 0o711)
}

func removeFiles() error {
	files.mu.Lock()
	defer files.mu.Unlock()

	if files.dir == "" {
		return nil
	}
	err := errors.Join(files.work.Close(), files.janitor.Wait())
	files.dir = ""

	return err
}

// copyFolder keeps owners and modes, unlike [os.CopyFS]: PostgreSQL checks them.
func copyFolder(ctx context.Context, from, to string) error {
	if output, err := exec.CommandContext(ctx, "cp", "-Rp", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w: %s", from, err, output)
	}

	return nil
}
