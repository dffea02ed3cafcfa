package sessiontest

import (
	"cmp"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Harness is the store under test, with what the suite must know about it. The store
// must accept any lifetimes that package sessionstore does without bounds, and any number of
// sessions per subject.
type Harness struct {
	Store sessionhttp.Store
	// Grace is how long a replaced token is valid. Zero means [sessionstore.DefaultGrace].
	Grace time.Duration
	// LateRetryLimit is that of [sessionstore.Config]. Zero means 8.
	LateRetryLimit int
	// Advance lets time pass for the store. Nil means that the suite waits: with 8 late retries
	// for about thirty-five times the Grace, if its parts may all run at once (go test -parallel).
	// The Grace should then be short, but longer than several calls of the store take.
	Advance func(time.Duration)
	// KeysOfSubject says that an idempotency key is known only for its subject: the same key
	// with another subject may create another session.
	KeysOfSubject bool
}

// T is what a check needs of a [testing.T].
type T interface {
	Helper()
	Context() context.Context
	Fatalf(format string, args ...any)
}

// check is a part of the suite.
type check struct {
	name string
	does func(k kit)
}

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

// kit is what a check uses.
type kit struct {
	T

	store   sessionhttp.Store
	grace   time.Duration
	limit   int
	advance func(time.Duration)

	keysOfSubject bool
}

func newKit(t T, h Harness) kit {
	k := kit{T: t, store: h.Store, grace: h.Grace, limit: h.LateRetryLimit, advance: h.Advance, keysOfSubject: h.KeysOfSubject}
	k.grace = cmp.Or(k.grace, sessionstore.DefaultGrace)
	k.limit = cmp.Or(k.limit, sessionstore.DefaultLateRetryLimit)
	if k.advance == nil {
		k.advance = time.Sleep
	}
	return k
}
