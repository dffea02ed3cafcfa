package console

import (
	"context"
	"sync"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// recentEvery is how often the totals are read.
const recentEvery = time.Minute

// countLive counts few sessions. For many it returns the last count, or an estimate until there
// is one.
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
	last, _ := c.counter.lastCount()
	if c.want(last.At) {
		last = live{N: estimate, IsCounting: true}
	}
	return last, nil
}

// countActivity counts what happened to sessions in the past day if few are stored. For many
// it returns the last count, if there is one.
func (c *Console) countActivity(ctx context.Context) (a activity, err error) {
	kept, err := c.cfg.Sessions.EstimateKept(ctx)
	if err != nil {
		return activity{}, err
	}
	if kept <= c.counter.most {
		a.Activity, a.IsKnown, err = c.cfg.Sessions.Activity(ctx, c.now())
		return a, err
	}
	_, last := c.counter.lastCount()
	if c.want(last.At) {
		last = activity{IsCounting: true}
	}
	return last, nil
}

// want requests a new count if the last one is outdated, and reports whether it is too
// old to be shown.
func (c *Console) want(last time.Time) (isTooOld bool) {
	age := c.now().Sub(last)
	if age > countedAgain {
		select {
		case c.counter.wanted <- struct{}{}:
		default: // it is already requested
		}
	}
	return age > countedFor
}

// runCounter counts when a page requests it, until ctx ends.
func (c *Console) runCounter(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.counter.wanted:
		}
		if last, _ := c.counter.lastCount(); c.now().Sub(last.At) <= countedAgain {
			continue // another page requested it, too
		}
		if err := c.countBeside(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Logger.WarnContext(ctx, "sessions cannot be counted", "error", err)
		}
	}
}

func (c *Console) countBeside(ctx context.Context) (err error) {
	at := c.now()
	counted, became := live{At: at}, activity{At: at}
	if counted.N, counted.IsExact, err = c.cfg.Sessions.CountLive(ctx); err != nil {
		return err
	}
	if became.Activity, became.IsKnown, err = c.cfg.Sessions.Activity(ctx, at); err != nil {
		return err
	}
	c.counter.mu.Lock()
	defer c.counter.mu.Unlock()
	c.counter.last, c.counter.lastActivity = counted, became
	return nil
}

// Run counts refreshes by the hour, and live sessions if that takes long, until ctx ends.
func (c *Console) Run(ctx context.Context) error {
	var counting sync.WaitGroup
	defer counting.Wait()
	counting.Go(func() { c.runCounter(ctx) })
	if c.cfg.Service.Refreshes == nil {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(recentEvery)
	defer ticker.Stop()
	for {
		c.recent.note(c.now(), c.cfg.Service.Refreshes())
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
