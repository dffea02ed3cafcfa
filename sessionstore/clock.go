package sessionstore

import (
	"sync/atomic"
	"time"

	"github.com/latchkey-sessions/latchkey/verifier"
)

// clock is the database's clock as the store's verifier knows it, for answers
// that must not cost a query.
type clock struct {
	// own is this machine's clock, used until a better one is known.
	own      func() time.Time
	verifier atomic.Pointer[verifier.Verifier]
}

func (c *clock) now() time.Time {
	if v := c.verifier.Load(); v != nil {
		if database, known := v.Clock(); known {
			return database.Now
		}
	}
	return c.own()
}

// asking returns a function that takes the database's time from the answer to
// the query that is about to be sent.
func (c *clock) asking() (learn func(time.Time)) {
	v := c.verifier.Load()
	if v == nil {
		return func(time.Time) {}
	}
	asked := v.Moment()
	return func(told time.Time) { v.Learn(told, asked) }
}
