package testdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// Clock is the time that servers see: the machine's, but off by something that may change while they run. libfaketime
// tells it to them.
type Clock struct {
	tb      testing.TB
	library string
	file    string
}

// NewClock returns a clock for [NewServerBy] and [NewReplicatedBy], or nil where servers run in containers, whose clock is the machine's.
func NewClock(tb testing.TB, off time.Duration) *Clock {
	tb.Helper()

	if os.Getenv("TEST_POSTGRES") == "container" {
		return nil
	}
	ctx, cancel := context.WithTimeout(tb.Context(), startPatience)
	defer cancel()
	if _, err := pgserver.Find(ctx); errors.Is(err, pgserver.ErrNoPrograms) {
		return nil
	}
	libraries, err := filepath.Glob("/usr/lib*/*/faketime/libfaketime.so.1")
	if err != nil || len(libraries) == 0 {
		tb.Fatal("testdb: there is no libfaketime, by which PostgreSQL sees another time: apt install faketime")
	}
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
	c := &Clock{tb: tb, library: libraries[0], file: filepath.Join(dir, "off")}
	c.Set(off)

	return c
}

// Set has the clock jump, so that it is off by this from now on. It may be called from any goroutine of the test.
func (c *Clock) Set(off time.Duration) {
	c.tb.Helper()

	next := c.file + ".next"
	err := os.WriteFile(next, fmt.Appendf(nil, "%+.3f\n", off.Seconds()), 0o644) //nolint:gosec // the server's user reads it
	if err == nil {
		err = os.Rename(next, c.file) // nobody reads half of it
	}
	if err != nil {
		c.tb.Errorf("testdb: set the clock: %v", err)
	}
}

// environment is that of a server which goes by the clock. Pauses are measured by another one, which stays right.
func (c *Clock) environment() []string {
	if c == nil {
		return nil
	}

	return []string{"LD_PRELOAD=" + c.library, "FAKETIME_TIMESTAMP_FILE=" + c.file, "FAKETIME_NO_CACHE=1", "DONT_FAKE_MONOTONIC=1"}
}

// removeTraces removes what libfaketime leaves in memory of a process that was killed.
func removeTraces() {
	files, _ := filepath.Glob(filepath.Join(sharedMemory, "*faketime_s*_*")) // the pattern is a good one
	for _, file := range files {
		pid := file[strings.LastIndexByte(file, '_')+1:]
		if _, err := os.Stat(filepath.Join("/proc", pid)); errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(file) // another test may be about it
		}
	}
}
