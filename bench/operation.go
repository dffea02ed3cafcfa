package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// call is one call of an operation. A worker makes one at a time. It fails with load.ErrUsedUp when what was prepared is.
type call func(ctx context.Context, worker int)

// work binds a call to a context.
func (c call) work(ctx context.Context) load.Work {
	return func(worker int) error { return must.Run(func() { c(ctx, worker) }) }
}

// need is what an operation is prepared for: so many calls by so many workers.
type need struct {
	*rig

	variant        string
	workers, calls int
	// beside has what runs beside the measurement, until its context ends.
	beside *errgroup.Group
}

// preparer makes what calls need. It is not measured.
type preparer func(ctx context.Context, n need) call

// operation is something that can be measured.
type operation struct {
	layer, name, variant string

	rig     *rig
	prepare preparer
	// tool measures another way: it is a program of its own, and returns how many it did in a second.
	tool func(ctx context.Context, workers int, duration time.Duration) float64
	// server is the process that the work is done in, besides PostgreSQL; nil: this one.
	server func() int
}

// of returns an operation of the three tables.
func of(r *rig, layer, name, variant string) operation {
	o := operation{layer: layer, name: name, variant: variant, rig: r}
	switch layer {
	case report.Packages:
		o.prepare = throughPackages[name]
	case report.HTTP:
		o.prepare, o.server = overHTTP[name], func() int { return r.process.Pid() }
	default:
		o.prepare = func(ctx context.Context, n need) call { return bare(ctx, n, name) }
	}

	return o
}

func (o operation) key(group string, workers int) report.Key {
	key := report.Key{Layer: o.layer, Operation: o.name, Variant: o.variant, State: report.Steady, Group: group, Workers: workers}
	if o.rig != nil {
		key.Sessions = o.rig.Size
	}

	return key
}

// String names the operation for people who watch.
func (o operation) String() string {
	name := o.layer + ": " + o.name
	if o.variant != "" {
		name += " (" + o.variant + ")"
	}
	if o.rig != nil {
		name += ", " + report.Thousands(float64(o.rig.Size)) + " sessions"
	}

	return name
}
