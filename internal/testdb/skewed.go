package testdb

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// Skewed is a server whose clock the test sets.
type Skewed struct {
	*Server
	clock *Clock
}

// NewSkewed starts a server with the schema in one database, whose clock is right until [Skewed.SetClock]. It needs
// Linux, PostgreSQL's programs and libfaketime on this machine, whatever the source of other databases.
func NewSkewed(tb testing.TB) *Skewed {
	tb.Helper()

	ctx, cancel := context.WithTimeout(tb.Context(), startPatience)
	defer cancel()
	clock := newClock(ctx, tb)
	srv, err := startByClock(ctx, clock)
	if err != nil {
		tb.Fatalf("no database with a clock of its own: %v", err)
	}
	removeAfter(tb, srv)

	return &Skewed{&Server{tb: tb, server: srv}, clock}
}

func startByClock(ctx context.Context, clock *Clock) (server, error) {
	programs, err := pgserver.Find(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: install it (apt install postgresql)", err)
	}

	return startLocal(ctx, programs, baseSettings(), clock.environment())
}

// SetClock sets the server's clock, for all its connections at once, ahead of the machine's by the given time, or behind
// it if that is negative.
func (s *Skewed) SetClock(ahead time.Duration) {
	s.tb.Helper()
	s.clock.Set(ahead)
}

// FakeClock returns the environment in which a program that uses the C library sees a time ahead of the machine's, or
// behind it if that is negative.
func FakeClock(tb testing.TB, ahead time.Duration) []string {
	tb.Helper()

	return []string{"LD_PRELOAD=" + fakeTimeLibrary(tb), "FAKETIME=" + offset(ahead), "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1"}
}
