package sessionstore

import (
	"sync/atomic"
	"time"

	"github.com/latchkey-sessions/latchkey/verifier"
)

// clock is the database's, as the store's verifier knows it: what has to be told
// without asking the database goes by it.
type clock struct {
	// own is this machine's, for as long as nothing better is known.
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

// asking returns what takes the time that the database has told in answer to the
// question that is about to be asked.
func (c *clock) asking() (learn func(time.Time)) {
	v := c.verifier.Load()
	if v == nil {
		return func(time.Time) {}
	}
	asked := v.Moment()
	return func(told time.Time) { v.Learn(told, asked) }
}
