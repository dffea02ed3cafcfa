package console

import (
	"context"
	"sync"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const (
	// countedAtOnce is up to about how many live sessions a page counts itself: more take
	// longer than somebody should wait, and than a page should cost.
	countedAtOnce = 50_000
	// countedAgain is for how long a count is good, and countedFor for how long it is better than
	// an estimate.
	countedAgain = time.Minute
	countedFor   = 10 * time.Minute
)

// live is how many sessions are.
type live struct {
	N       int64
	IsExact bool
	// At is when they were counted, where that was not now.
	At time.Time
	// IsCounting says that the exact number is found out meanwhile.
	IsCounting bool
}

// counter counts beside the pages where there are many sessions, and only while somebody looks.
type counter struct {
	mu     sync.Mutex
	last   live
	wanted chan struct{}
	// most is countedAtOnce.
	most int64
}

func newCounter() *counter { return &counter{wanted: make(chan struct{}, 1), most: countedAtOnce} }

// countLive counts few sessions. Of many it returns the last count, or an estimate until there is
// one.
func (c *Console) countLive(ctx context.Context) (live, error) {
	estimate, err := c.cfg.Sessions.EstimateLive(ctx)
	switch {
	case err != nil:
		return live{}, err
	case estimate <= c.counter.most:
		n, isExact, err := c.cfg.Sessions.CountLive(ctx)
		return live{N: n, IsExact: isExact}, err
	case estimate > sessionstore.CountedLive:
		return live{N: estimate}, nil
	}
	last := c.counter.lastCount()
	age := c.now().Sub(last.At)
	if age > countedAgain {
		select {
		case c.counter.wanted <- struct{}{}:
		default: // it is wanted already
		}
	}
	if age > countedFor {
		last = live{N: estimate, IsCounting: true}
	}
	return last, nil
}

func (c *counter) lastCount() live {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// runCounter counts when a page wants it, until ctx ends.
func (c *Console) runCounter(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.counter.wanted:
		}
		if c.now().Sub(c.counter.lastCount().At) <= countedAgain {
			continue // another page wanted it, too
		}
		n, isExact, err := c.cfg.Sessions.CountLive(ctx)
		if err != nil {
			if ctx.Err() == nil {
				c.cfg.Logger.WarnContext(ctx, "live sessions cannot be counted", "error", err)
			}
			continue
		}
		c.counter.mu.Lock()
		c.counter.last = live{N: n, IsExact: isExact, At: c.now()}
		c.counter.mu.Unlock()
	}
}
