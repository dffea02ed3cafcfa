package main

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

const (
	// warmupShare of a measurement's duration runs first, uncounted.
	warmupShare = 8
	// serviceWarmup is how long a service is kept busy at least before it is measured.
	serviceWarmup = 300 * time.Millisecond
	// firstGuess is how many operations per second are prepared for as long as nothing is known of an operation.
	firstGuess = 15_000
	// margin is how many more than last time are prepared for.
	margin = 1.5
)

// gathered is a row that still gets rounds.
type gathered struct {
	report.Row

	times *load.Times
	used  usage
}

// usage is what operations have cost: processor time of three processes, bytes of WAL,
// and transaction ids.
type usage struct {
	client, server, database time.Duration
	wal, ids                 int64
}

func (u usage) minus(v usage) usage {
	return usage{u.client - v.client, u.server - v.server, u.database - v.database, u.wal - v.wal, u.ids - v.ids}
}

// usage reads all counters, of a server as well if there is one.
func (b *bench) usage(ctx context.Context, server int) usage {
	u := usage{client: machine.Own(), database: machine.CPU(b.cluster.Postmaster)}
	u.wal, u.ids = b.cluster.Written(ctx)
	if server != 0 {
		u.server = machine.CPU(server)
	}
	return u
}

// gather returns the row that an operation's rounds go to.
func (b *bench) gather(key report.Key) *gathered {
	for _, g := range b.rows {
		if g.Key == key {
			return g
		}
	}
	g := &gathered{Row: report.Row{Key: key}, times: load.NewTimes()}
	b.rows = append(b.rows, g)
	return g
}

// row returns the row as far as it was measured.
func (g *gathered) row() report.Row {
	row := g.Row
	setTimes(&row, g.times)
	if row.Calls == 0 {
		return row
	}
	calls := float64(row.Calls)
	row.ClientCPU, row.ServerCPU = microseconds(g.used.client)/calls, microseconds(g.used.server)/calls
	if g.Layer != report.Limit || g.Sessions > 0 { // the HTTP limits have no database
		row.DatabaseCPU, row.WAL = microseconds(g.used.database)/calls, float64(g.used.wal)/calls
		row.TransactionIDs = float64(g.used.ids) / calls
	}
	return row
}

// capacity is how many of an operation are possible per second: as measured in an earlier stage or, where that was left
// out, as measured now.
func (b *bench) capacity(ctx context.Context, o operation, workers int) float64 {
	g := b.gather(o.key(report.Main(workers), workers))
	if len(g.Rounds) == 0 {
		b.closed(ctx, o, g.Key, b.cfg.duration)
	}
	return g.PerSecond()
}

func setTimes(row *report.Row, times *load.Times) {
	row.Calls = int(times.TotalCount())
	row.P50, row.P99, row.P999 = times.Milliseconds(50), times.Milliseconds(99), times.Milliseconds(99.9)
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// inTurn measures operations one after the other, round by round, and closes what they have opened.
func (b *bench) inTurn(ctx context.Context, group string, workers, rounds int, duration time.Duration, all []operation) {
	defer b.closeAll()

	for range rounds {
		for _, o := range all {
			b.closed(ctx, o, o.key(group, workers), duration)
		}
		slices.Reverse(all) // what drifts meanwhile, a table or the machine, favours none
	}
}

// closed measures one round of an operation.
func (b *bench) closed(ctx context.Context, o operation, key report.Key, duration time.Duration) {
	window := load.Window{Workers: key.Workers, Warmup: duration / warmupShare, Duration: duration}
	if o.layer == report.HTTP { // a service that was just started has no connections to the database yet
		window.Warmup = max(window.Warmup, serviceWarmup)
	}
	if key.State == report.AfterCheckpoint { // the measurement must end soon
		window.Warmup = 0
	}
	g := b.gather(key)
	do := o.makeReady(ctx, key.Workers, window.Warmup+duration, g.PerSecond())
	if o.tool != nil {
		g.Rounds = append(g.Rounds, o.tool(ctx, key.Workers, duration))
		return
	}

	for _, start := range o.beside {
		defer start(o.rig, ctx, key.Workers)()
	}
	pid := 0
	if o.server != nil {
		pid = o.server()
	}
	var before, after usage
	window.Begin = func() { before = b.usage(ctx, pid) }
	window.End = func() { after = b.usage(ctx, pid) }
	measured, err := load.Closed(ctx, window, do)
	must.Hold(err == nil, "%v: %w", o, err)
	must.Hold(measured.Latencies.TotalCount() > 0, "%v: nothing was done", o)
	g.Rounds = append(g.Rounds, measured.PerSecond())
	g.times.Merge(measured.Latencies.Histogram)
	g.used = g.used.minus(before.minus(after))
	b.say("round %d  %9s/s  %v, %d at once", len(g.Rounds), report.Thousands(measured.PerSecond()), o, key.Workers)
	if most := slices.Max(b.cfg.workers); o.layer == report.HTTP && key.Workers == most {
		b.results.Service.Memory, b.results.Service.Connections = max(b.results.Service.Memory, machine.MostMemory(pid)), most
	}
}

// makeReady prepares an operation for a measurement.
func (o operation) makeReady(ctx context.Context, workers int, duration time.Duration, lastPerSecond float64) call {
	if lastPerSecond == 0 {
		lastPerSecond = firstGuess
	}
	calls := lastPerSecond * duration.Seconds() * margin
	do := o.prepare(ctx, need{rig: o.rig, variant: o.variant, workers: workers, calls: int(calls) + workers*10})
	runtime.GC() // nobody pays for another's garbage
	return do
}

// open measures how long an operation takes when it comes at a rate, which is a share of what is possible.
func (b *bench) open(ctx context.Context, o operation, group string, window load.Window, share float64) report.Row {
	row, perSecond := report.Row{Key: o.key(group, window.Workers)}, share*b.capacity(ctx, o, window.Workers)
	row.Load = share
	// A service that was just started has no connections to the database yet. What piles up meanwhile would take long to
	// go away at a load that is near to what is possible.
	warm := o.makeReady(ctx, window.Workers, serviceWarmup, 0)
	must.Get(load.Closed(ctx, load.Window{Workers: window.Workers, Duration: serviceWarmup}, warm))
	do := o.makeReady(ctx, window.Workers, window.Warmup+window.Duration, perSecond)
	measured, err := load.Open(ctx, window, perSecond, uint64(window.Workers), do) //nolint:gosec // a number of workers
	must.Hold(err == nil, "%v at %.0f/s: %w", o, perSecond, err)
	row.Rounds, row.Late = []float64{measured.PerSecond()}, measured.Late.Milliseconds(99)
	setTimes(&row, measured.Latencies)
	b.say("%v at %2.0f %% (%s/s): p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms", o, 100*share, report.Thousands(row.PerSecond()), row.P50, row.P99, row.P999)
	return row
}
