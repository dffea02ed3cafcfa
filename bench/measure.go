package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/cluster"
	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
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
	report.Row

	times *load.Times
	used  usage
}

// usage is what operations have cost: processor time of three processes, and bytes of WAL.
type usage struct {
	client, server, database time.Duration
	wal                      int64
}

func (u usage) minus(v usage) usage {
	return usage{u.client - v.client, u.server - v.server, u.database - v.database, u.wal - v.wal}
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
		if g.Key == key {
			return g
		}
	}
	g := &gathered{Row: report.Row{Key: key}, times: load.NewTimes()}
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
	do, err := o.makeReady(ctx, key.Workers, duration, g.PerSecond())
	if err != nil {
		return 0, err
	}
	if o.finish != nil {
		defer o.finish()
	}
	if o.tool != nil {
		perSecond, err := o.tool(ctx, key.Workers, duration)
		g.Rounds = append(g.Rounds, perSecond)
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
	}, do.work(ctx))
	if err := errors.Join(err, beforeErr, afterErr); err != nil {
		return 0, fmt.Errorf("%v: %w", o, err)
	}
	if measured.Latencies.Count() == 0 {
		return 0, fmt.Errorf("%v: nothing was done", o)
	}
	g.Rounds = append(g.Rounds, measured.PerSecond())
	g.times.Merge(measured.Latencies.Histogram)
	g.used = g.used.minus(before.minus(after))
	if o.layer == report.HTTP && key.Workers >= m.memoryFrom {
		most, err := machine.MostMemory(pid)
		if err != nil {
			return 0, err
		}
		m.memory = max(m.memory, most)
	}

	return measured.PerSecond(), nil
}

// makeReady prepares an operation for a measurement.
func (o operation) makeReady(ctx context.Context, workers int, duration time.Duration, lastPerSecond float64) (call, error) {
	if lastPerSecond == 0 {
		lastPerSecond = firstGuess
	}
	calls := lastPerSecond * duration.Seconds() * (1 + 1.0/warmupShare) * margin
	do, err := o.prepare(ctx, need{rig: o.rig, variant: o.variant, workers: workers, calls: int(calls) + workers*10})
	if err != nil {
		return nil, fmt.Errorf("prepare %v: %w", o, err)
	}
	runtime.GC() // nobody pays for another's garbage

	return do, nil
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
	row := g.Row
	if row.Calls = g.times.Count(); row.Calls == 0 {
		return row
	}
	row.P50, row.P99, row.P999 = g.times.Milliseconds(50), g.times.Milliseconds(99), g.times.Milliseconds(99.9)
	calls := float64(row.Calls)
	row.ClientCPU = microseconds(g.used.client) / calls
	row.ServerCPU = microseconds(g.used.server) / calls
	if g.Layer != report.Limit || g.Sessions > 0 { // the HTTP limits have no database
		row.DatabaseCPU = microseconds(g.used.database) / calls
		row.WAL = float64(g.used.wal) / calls
	}

	return row
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// open measures how long an operation takes when it comes at a rate.
func (m *meter) open(ctx context.Context, o operation, window load.Window, perSecond float64) (report.Latency, error) {
	// A service that was just started has no connections to the database yet. What piles up meanwhile would take long to
	// go away at a load that is near to what is possible.
	warm, err := o.makeReady(ctx, window.Workers, serviceWarmup, 0)
	if err != nil {
		return report.Latency{}, err
	}
	if _, err := load.Closed(ctx, load.Window{Workers: window.Workers, Duration: serviceWarmup}, warm.work(ctx)); err != nil {
		return report.Latency{}, fmt.Errorf("%v: %w", o, err)
	}
	do, err := o.makeReady(ctx, window.Workers, window.Duration, perSecond)
	if err != nil {
		return report.Latency{}, err
	}
	if window.Warmup == 0 {
		window.Warmup = window.Duration / warmupShare
	}
	measured, err := load.Open(ctx, window, perSecond, uint64(window.Workers), do.work(ctx)) //nolint:gosec // a number of workers
	if err != nil {
		return report.Latency{}, fmt.Errorf("%v at %.0f/s: %w", o, perSecond, err)
	}

	return report.Latency{
		Operation: o.name, Variant: o.variant, Sessions: o.rig.Size, Connections: window.Workers,
		PerSecond: measured.PerSecond(), Calls: measured.Latencies.Count(),
		P50: measured.Latencies.Milliseconds(50), P99: measured.Latencies.Milliseconds(99), P999: measured.Latencies.Milliseconds(99.9),
		Late: measured.Late.Milliseconds(99),
	}, nil
}
