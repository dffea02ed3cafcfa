package main

import (
	"context"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// operation is something that can be measured.
type operation struct {
	layer, name, variant string

	rig *rig
	// prepare makes what so many calls by so many workers need. It is not measured.
	prepare func(ctx context.Context, workers, calls int) error
	// do is one call. A worker makes one at a time. It returns load.ErrUsedUp when what was prepared is.
	do func(ctx context.Context, worker int) error
	// tool measures another way: it is a program of its own, and returns how many it did in a second.
	tool func(ctx context.Context, workers int, duration time.Duration) (perSecond float64, err error)
	// server is the process that the work is done in, besides PostgreSQL; 0: this one.
	server func() int
	// finish ends what prepare started for a measurement alone; nil: nothing.
	finish func()
}

func (o operation) key(group string, workers int) report.Key {
	key := report.Key{
		Layer: o.layer, Operation: o.name, Variant: o.variant, State: report.Steady, Group: group, Workers: workers,
	}
	if o.rig != nil {
		key.Sessions = o.rig.population.Size
	}

	return key
}

// String names the operation for people who watch.
func (o operation) String() string {
	name := o.name
	if o.variant != "" {
		name += " (" + o.variant + ")"
	}

	return o.layer + ": " + name
}

// work binds the operation to a context.
func (o operation) work(ctx context.Context) load.Work {
	return func(worker int) error { return o.do(ctx, worker) }
}
