package testdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// fakeTime is where Linux distributions put libfaketime, which shows the programs
// that are started with it another time than the machine's.
const fakeTime = "/usr/lib/*/faketime/libfaketime.so.1"

// Skewed is a server whose clock the test sets.
type Skewed struct {
	*Server
	offset string // the file with the offset
}

// NewSkewed starts a server with the schema in one database, whose clock is right until [Skewed.SetClock]. It needs
// Linux, PostgreSQL's programs and libfaketime on this machine, whatever other databases there are.
func NewSkewed(tb testing.TB) *Skewed {
	tb.Helper()

	ctx, cancel := context.WithTimeout(tb.Context(), startPatience)
	defer cancel()
	s, err := newSkewed(ctx)
	if err != nil {
		tb.Fatalf("no database with a clock of its own: %v", err)
	}
	s.tb = tb
	removeAfter(tb, s.server)
	if err := migrate(ctx, s.URL()); err != nil {
		tb.Fatalf("testdb: %v", err)
	}

	return s
}

// FakeClock returns the environment in which a program that uses the C library sees another time than the machine's: so
// far ahead, or behind where that is negative.
func FakeClock(tb testing.TB, ahead time.Duration) []string {
	tb.Helper()

	library, err := findFakeTime()
	if err != nil {
		tb.Fatalf("testdb: %v", err)
	}

	return []string{"LD_PRELOAD=" + library, "FAKETIME=" + offset(ahead), "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1"}
}

func offset(ahead time.Duration) string { return fmt.Sprintf("%+.3f", ahead.Seconds()) }

func findFakeTime() (string, error) {
	libraries, err := filepath.Glob(fakeTime)
	if err == nil && len(libraries) == 0 {
		err = errors.New("libfaketime is not installed: install it (apt install faketime)")
	}
	if err != nil {
		return "", err
	}

	return libraries[0], nil
}

func newSkewed(ctx context.Context) (*Skewed, error) {
	library, err := findFakeTime()
	if err != nil {
		return nil, err
	}
	programs, err := pgserver.Find(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: install it (apt install postgresql)", err)
	}
	root, err := filesDir(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(root, "clock-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	s := &Skewed{Server: &Server{}, offset: filepath.Join(dir, "offset")}
	if err := s.write(0); err != nil {
		return nil, err
	}
	script := "#!/bin/sh\n" +
		"export LD_PRELOAD=" + library + " FAKETIME_TIMESTAMP_FILE=" + s.offset + "\n" +
		// Each look at the clock reads the file; timers go on as they do.
		"export FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1\n" +
		"exec " + filepath.Join(programs.Bin, "postgres") + ` "$@"` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "postgres"), []byte(script), 0o755); err != nil {
		return nil, err
	}
	if err := os.Symlink(filepath.Join(programs.Bin, "initdb"), filepath.Join(dir, "initdb")); err != nil {
		return nil, err
	}
	programs.Bin = dir
	s.server, err = startLocal(ctx, programs, baseSettings())

	return s, err
}

// SetClock sets the server's clock, for all its connections at once: so far ahead of the machine's, or behind it where
// that is negative.
func (s *Skewed) SetClock(ahead time.Duration) {
	s.tb.Helper()

	if err := s.write(ahead); err != nil {
		s.tb.Fatalf("testdb: %v", err)
	}
}

// write replaces the file at once: one that is empty for a moment would be no offset.
func (s *Skewed) write(ahead time.Duration) error {
	next := s.offset + "." + strconv.Itoa(os.Getpid())
	if err := os.WriteFile(next, []byte(offset(ahead)+"\n"), 0o644); err != nil {
		return err
	}

	return os.Rename(next, s.offset)
}
