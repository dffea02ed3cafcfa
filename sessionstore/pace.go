package sessionstore

import (
	"context"
	"time"
)

// restsFor is how long a store pauses after a large piece of work, as a multiple of
// the time worked: it leaves nine tenths of the time to others.
const restsFor = 9

// pace lets a store do one large piece of work at a time, for whatever caller, and pause after
// it. Only unusually large requests go through it: each user's first batch does not.
type pace struct {
	busy  chan struct{} // has room for the one that is working
	ready time.Time     // when the rest after the last one is over
}

func newPace() *pace { return &pace{busy: make(chan struct{}, 1)} }

// do works once it may. It fails with the context's error if that ends first.
func (p *pace) do(ctx context.Context, work func() error) error {
	select {
	case p.busy <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.busy }()
	if err := sleep(ctx, time.Until(p.ready)); err != nil { //nolint:forbidigo // a pause decides nothing
		return err
	}
	began := time.Now()                                                       //nolint:forbidigo // a pause decides nothing
	defer func() { p.ready = time.Now().Add(restsFor * time.Since(began)) }() //nolint:forbidigo // a pause decides nothing
	return work()
}

// sleep fails with the context's error if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
