package console

import (
	"sync"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const (
	// countedAtOnce is approximately how many sessions a page counts itself: more
	// take longer than a user should wait, and cost more than a page should.
	countedAtOnce = 50_000
	// countedAgain is how long a count is current, and countedFor how long it is better than
	// an estimate.
	countedAgain = time.Minute
	countedFor   = 10 * time.Minute
)

// live is how many sessions are live.
type live struct {
	N       int64
	IsExact bool
	// At is when they were counted, if that was not now.
	At time.Time
	// IsCounting says that the exact number is being counted.
	IsCounting bool
}

// activity is what happened to sessions.
type activity struct {
	sessionstore.Activity

	// IsKnown is false if there is no count.
	IsKnown bool
	// At and IsCounting are those of [live].
	At         time.Time
	IsCounting bool
}

// counter counts in the background if there are many sessions, and only while pages are
// viewed.
type counter struct {
	mu   sync.Mutex
	last live
	// lastActivity was counted with it.
	lastActivity activity
	wanted       chan struct{}
	// most is countedAtOnce.
	most int64
}

func newCounter() *counter { return &counter{wanted: make(chan struct{}, 1), most: countedAtOnce} }

func (c *counter) lastCount() (live, activity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, c.lastActivity
}
