package testdb

import (
	"testing"
	"time"
)

// Skewed is a server whose clock the test sets.
type Skewed struct {
	*Server
	clock *Clock
}

// NewSkewed starts a server with the schema in one database, whose clock is right until [Skewed.SetClock]. The test is
// skipped where servers run in containers, whose clock is the machine's.
func NewSkewed(tb testing.TB) *Skewed {
	tb.Helper()

	clock := NewClock(tb, 0)
	if clock == nil {
		tb.Skip("a server in a container has the machine's clock")
	}

	return &Skewed{NewServerBy(tb, clock), clock}
}

// SetClock sets the server's clock, for all its connections at once: so far ahead of the machine's, or behind it where
// that is negative.
func (s *Skewed) SetClock(ahead time.Duration) { s.clock.Set(ahead) }
