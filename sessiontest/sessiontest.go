package sessiontest

import (
	"sync"
	"testing"
	"time"
)

// Run tests the store that setup makes: one for each part of the suite, which is a subtest.
// They run in parallel.
func Run(t *testing.T, setup func(t *testing.T) Harness) {
	t.Helper()
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.does(newKit(t, setup(t)))
		})
	}
}

func checks() []check {
	all := [][]check{creations, accesses, refreshes, thefts, bindings, updates, endings, replacements, beyond}
	var flat []check
	for _, some := range all {
		flat = append(flat, some...)
	}
	return flat
}

// Clock is a clock that stands still until it is advanced.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock returns a clock that shows the present time.
func NewClock() *Clock { return &Clock{at: time.Now().Truncate(time.Microsecond)} }

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Advance moves the clock forward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
