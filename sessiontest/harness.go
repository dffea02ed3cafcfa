package sessiontest

import (
	"context"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
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
