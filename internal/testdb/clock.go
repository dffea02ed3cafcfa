package testdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// fakeTime is where Linux distributions put libfaketime, which shows programs started with it a time other
// than the machine's.
const fakeTime = "/usr/lib/*/faketime/libfaketime.so.1"

// Clock is the time that servers see. The test sets it while they run.
type Clock struct {
	tb      testing.TB
	library string
	file    string
}

// NewClock returns a clock for [NewServerBy] and [NewReplicatedBy], or nil if servers run in containers, whose clock is
// the machine's, or on a system other than Linux.
func NewClock(tb testing.TB, ahead time.Duration) *Clock {
	tb.Helper()

	if os.Getenv("TEST_POSTGRES") == "container" || runtime.GOOS != "linux" {
		return nil
	}
	ctx, cancel := context.WithTimeout(tb.Context(), startPatience)
	defer cancel()
	if _, err := pgserver.Find(ctx); errors.Is(err, pgserver.ErrNoPrograms) {
		return nil
	}
	c := newClock(ctx, tb)
	c.Set(ahead)

	return c
}

// newClock returns a clock that is right.
func newClock(ctx context.Context, tb testing.TB) *Clock {
	tb.Helper()

	library := fakeTimeLibrary(tb)
	root, err := filesDir(ctx)
	if err != nil {
		tb.Fatalf("testdb: %v", err)
	}
	dir, err := os.MkdirTemp(root, "clock-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // as root, another user runs the server
	}
	if err != nil {
		tb.Fatalf("testdb: %v", err)
	}
	tb.Cleanup(removeTraces) // after the servers' own end
	c := &Clock{tb: tb, library: library, file: filepath.Join(dir, "offset")}
	c.Set(0)

	return c
}

// Set makes the clock jump: it is then ahead of the machine's by the given time, or behind it if that is negative. It may be
// called from any goroutine of the test.
func (c *Clock) Set(ahead time.Duration) {
	c.tb.Helper()

	next := c.file + ".next"
	err := os.WriteFile(next, []byte(offset(ahead)+"\n"), 0o644) // the server's user reads it
	if err == nil {
		err = os.Rename(next, c.file) // no reader sees half of it
	}
	if err != nil {
		c.tb.Errorf("testdb: set the clock: %v", err)
	}
}

// offset is libfaketime's notation for how far ahead to be.
func offset(ahead time.Duration) string { return fmt.Sprintf("%+.3f", ahead.Seconds()) }

func fakeTimeLibrary(tb testing.TB) string {
	tb.Helper()

	libraries, err := filepath.Glob(fakeTime)
	if err != nil || len(libraries) == 0 {
		tb.Fatal("testdb: libfaketime is not installed: install it (apt install faketime)")
	}

	return libraries[0]
}

// environment returns that of a server with this clock. Each reading of the clock reads the file; timers are not
// affected.
func (c *Clock) environment() []string {
	if c == nil {
		return nil
	}

	return []string{"LD_PRELOAD=" + c.library, "FAKETIME_TIMESTAMP_FILE=" + c.file, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"}
}

// removeTraces removes what libfaketime leaves in memory of a process that was killed.
func removeTraces() {
	files, _ := filepath.Glob("/dev/shm/*faketime_s*_*") // the pattern is a good one
	for _, file := range files {
		pid := file[strings.LastIndexByte(file, '_')+1:]
		if _, err := os.Stat(filepath.Join("/proc", pid)); errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(file) // another test may be removing it
		}
	}
}
