package main

import (
	"context"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// call is one call of an operation. It fails with [load.ErrUsedUp] when what was prepared is.
type call = load.Work

// alongside starts something that runs alongside the calls, until it is stopped.
type beside func(r *rig, ctx context.Context, workers int) (stop func())

// need is what an operation is prepared for: so many calls by so many workers.
type need struct {
	*rig

	variant        string
	workers, calls int
}

// operation is something that can be measured.
type operation struct {
	layer, name, variant string

	rig *rig
	// prepare makes what calls need. It is not measured.
	prepare func(ctx context.Context, n need) call
	beside  []beside
	// tool measures another way: it is a program of its own, and returns how many it did in a second.
	tool func(ctx context.Context, workers int, duration time.Duration) float64
	// server is the process that the work is done in, besides PostgreSQL; nil: this one.
	server func() int
}

// of returns an operation through one of the layers. The limit of all that write is a bare statement too.
func of(r *rig, layer, name, variant string) operation {
	through := map[string]func(context.Context, need, string) call{
		report.Limit: bare, report.Bare: bare, report.Packages: throughPackages, report.HTTP: overHTTP,
	}[layer]
	o := operation{layer: layer, name: name, variant: variant, rig: r, prepare: func(ctx context.Context, n need) call { return through(ctx, n, name) }}
	if layer == report.HTTP {
		o.server = func() int { return r.process.Pid() }
	}
	return o
}

// calling returns an operation that needs nothing else to be prepared.
func (o operation) calling(do call) operation {
	o.prepare = func(context.Context, need) call { return do }
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
