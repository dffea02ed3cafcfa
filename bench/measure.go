package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/cluster"
	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/stats"
)

const (
	// warmupShare of a measurement's duration runs first, uncounted.
	warmupShare = 8
	// serviceWarmup is for how long a service is kept busy before latencies are looked at.
	serviceWarmup = 300 * time.Millisecond
	// firstGuess is how many operations a second are prepared for as long as nothing is known of an operation.
	firstGuess = 15_000
	// margin is how many more than last time are prepared for.
	margin = 1.5
)

// meter measures operations, and gathers what it has measured.
type meter struct {
	cluster *cluster.Cluster
	rows    []*gathered
	// memory is the most that the service had at so many workers or more.
	memory     int64
	memoryFrom int
}

// gathered is a row that still gets rounds.
type gathered struct {
	row       report.Row
	latencies []time.Duration
	used      usage
}

// usage is what operations have cost.
type usage struct {
	client, server, database time.Duration
	wal                      int64
}

func (u usage) minus(v usage) usage {
	return usage{u.client - v.client, u.server - v.server, u.database - v.database, u.wal - v.wal}
}

func (u usage) plus(v usage) usage {
	return usage{u.client + v.client, u.server + v.server, u.database + v.database, u.wal + v.wal}
}

// usage reads all counters.
func (m *meter) usage(ctx context.Context, server int) (u usage, err error) {
	u.client = machine.Own()
	if u.database, err = machine.CPU(m.cluster.Postmaster); err != nil {
		return u, err
	}
	if server != 0 {
		if u.server, err = machine.CPU(server); err != nil {
			return u, err
		}
	}
	u.wal, err = m.cluster.WAL(ctx)

	return u, err
}

// row returns the row that an operation's rounds go to.
func (m *meter) row(key report.Key) *gathered {
	for _, g := range m.rows {
		if g.row.Key == key {
			return g
		}
	}
	g := &gathered{row: report.Row{Key: key}}
	m.rows = append(m.rows, g)

	return g
}

// closed measures one round of an operation, and returns how many it did in a second.
func (m *meter) closed(ctx context.Context, o operation, key report.Key, duration time.Duration) (float64, error) {
	warmup := duration / warmupShare
	if key.State == report.AfterCheckpoint { // what is to be measured is over soon
		warmup = 0
	}
	g := m.row(key)
	if err := o.makeReady(ctx, key.Workers, duration, g.row.PerSecond()); err != nil {
		return 0, fmt.Errorf("prepare %v: %w", o, err)
	}
	if o.finish != nil {
		defer o.finish()
	}
	if o.tool != nil {
		perSecond, err := o.tool(ctx, key.Workers, duration)
		g.row.Rounds = append(g.row.Rounds, perSecond)
		return perSecond, err
	}

	pid := 0
	if o.server != nil {
		pid = o.server()
	}
	var before, after usage
	var beforeErr, afterErr error
	measured, err := load.Closed(ctx, load.Window{
		Workers: key.Workers, Warmup: warmup, Duration: duration,
		Begin: func() { before, beforeErr = m.usage(ctx, pid) },
		End:   func() { after, afterErr = m.usage(ctx, pid) },
	}, o.work(ctx))
	if err := errors.Join(err, beforeErr, afterErr); err != nil {
		return 0, fmt.Errorf("%v: %w", o, err)
	}
	if len(measured.Latencies) == 0 {
		return 0, fmt.Errorf("%v: nothing was done", o)
	}
	g.add(measured, after.minus(before))
	if o.layer == report.HTTP && key.Workers >= m.memoryFrom {
		_, most, err := machine.RSS(pid)
		if err != nil {
			return 0, err
		}
		m.memory = max(m.memory, most)
	}

	return measured.PerSecond(), nil
}

// makeReady prepares an operation for a measurement.
func (o operation) makeReady(ctx context.Context, workers int, duration time.Duration, lastPerSecond float64) error {
	calls := firstGuess * duration.Seconds()
	if lastPerSecond > 0 {
		calls = lastPerSecond * duration.Seconds()
	}
	calls *= 1 + 1.0/warmupShare
	if err := o.prepare(ctx, workers, int(calls*margin)+workers*10); err != nil {
		return err
	}
	runtime.GC() // nobody pays for another's garbage

	return nil
}

func (g *gathered) add(measured load.Measured, used usage) {
	g.row.Rounds = append(g.row.Rounds, measured.PerSecond())
	g.latencies = append(g.latencies, measured.Latencies...)
	g.used = g.used.plus(used)
}

// results returns all rows.
func (m *meter) results() []report.Row {
	rows := make([]report.Row, 0, len(m.rows))
	for _, g := range m.rows {
		rows = append(rows, g.finish())
	}

	return rows
}

func (g *gathered) finish() report.Row {
	row := g.row
	if row.Calls = len(g.latencies); row.Calls == 0 {
		return row
	}
	slices.Sort(g.latencies)
	row.P50, row.P99, row.P999 = percentiles(g.latencies)
	calls := float64(row.Calls)
	row.ClientCPU = microseconds(g.used.client) / calls
	row.ServerCPU = microseconds(g.used.server) / calls
	if g.row.Layer != report.Limit || g.row.Sessions > 0 { // the HTTP limits have no database
		row.DatabaseCPU = microseconds(g.used.database) / calls
		row.WAL = float64(g.used.wal) / calls
	}

	return row
}

func percentiles(sorted []time.Duration) (p50, p99, p999 float64) {
	at := func(share float64) float64 { return microseconds(stats.Percentile(sorted, share)) / 1000 }

	return at(0.5), at(0.99), at(0.999)
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// open measures how long an operation takes when it comes at a rate.
func (m *meter) open(ctx context.Context, o operation, workers int, duration time.Duration, perSecond float64) (report.Latency, error) {
	return m.openFor(ctx, o, load.Window{Workers: workers, Warmup: duration / warmupShare, Duration: duration}, perSecond)
}

func (m *meter) openFor(ctx context.Context, o operation, window load.Window, perSecond float64) (report.Latency, error) {
	workers := window.Workers
	// A service that was just started has no connections to the database yet. What piles up meanwhile would take long to
	// go away at a load that is near to what is possible.
	if err := o.makeReady(ctx, workers, serviceWarmup, 0); err != nil {
		return report.Latency{}, fmt.Errorf("prepare %v: %w", o, err)
	}
	if _, err := load.Closed(ctx, load.Window{Workers: workers, Duration: serviceWarmup}, o.work(ctx)); err != nil {
		return report.Latency{}, fmt.Errorf("%v: %w", o, err)
	}
	if err := o.makeReady(ctx, workers, window.Duration, perSecond); err != nil {
		return report.Latency{}, fmt.Errorf("prepare %v: %w", o, err)
	}
	measured, err := load.Open(ctx, window, perSecond, uint64(workers), o.work(ctx)) //nolint:gosec // a number of workers
	if err != nil {
		return report.Latency{}, fmt.Errorf("%v at %.0f/s: %w", o, perSecond, err)
	}
	slices.Sort(measured.Latencies)
	slices.Sort(measured.Late)
	l := report.Latency{
		Operation: o.name, Variant: o.variant, Sessions: o.rig.population.Size, Connections: workers,
		PerSecond: measured.PerSecond(), Calls: len(measured.Latencies),
		Late: microseconds(stats.Percentile(measured.Late, 0.99)) / 1000,
	}
	l.P50, l.P99, l.P999 = percentiles(measured.Latencies)

	return l, nil
}
