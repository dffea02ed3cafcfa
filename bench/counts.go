package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// counted is how many calls are counted, after as many that are not.
const counted = 200

// countOperations counts what does not depend on the machine: round trips and allocations, of one call at a time.
func countOperations(ctx context.Context, r *rig) (counts []report.Count, err error) {
	trips := &roundTrips{}
	config, err := pgxpool.ParseConfig(r.URL)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 1
	config.ConnConfig.DialFunc = trips.dial
	if _, err := r.runStore(ctx, config); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close(ctx)) }()

	for _, o := range []struct{ name, variant string }{
		{report.Create, ""}, {report.Get, report.Seen}, {report.Get, report.NotSeen}, {report.Refresh, ""}, {report.Update, ""}, {report.Revoke, ""},
	} {
		o := of(r, report.Packages, o.name, o.variant)
		count, err := countOperation(ctx, o, trips)
		if err != nil {
			return nil, fmt.Errorf("count %v: %w", o, err)
		}
		counts = append(counts, count)
	}

	return counts, nil
}

func countOperation(ctx context.Context, o operation, trips *roundTrips) (report.Count, error) {
	do, err := o.prepare(ctx, need{rig: o.rig, variant: o.variant, workers: 1, calls: 2 * counted})
	if err != nil {
		return report.Count{}, err
	}
	var before, after runtime.MemStats
	var tripsBefore int64
	for i := range 2 * counted {
		if i == counted {
			runtime.ReadMemStats(&before)
			tripsBefore = trips.count.Load()
		}
		if err := do(ctx, 0); err != nil {
			return report.Count{}, err
		}
	}
	made := trips.count.Load() - tripsBefore
	runtime.ReadMemStats(&after)

	return report.Count{
		Operation: o.name, Variant: o.variant,
		RoundTrips:     float64(made) / counted,
		Allocations:    float64(after.Mallocs-before.Mallocs) / counted,
		AllocatedBytes: float64(after.TotalAlloc-before.TotalAlloc) / counted,
	}, nil
}

// roundTrips counts how often connections wait for the server: once for each time they read after they wrote.
type roundTrips struct{ count atomic.Int64 }

func (t *roundTrips) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)

	return &countingConn{Conn: conn, trips: t}, err
}

type countingConn struct {
	net.Conn

	trips *roundTrips
	wrote atomic.Bool
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.wrote.Store(true)

	return c.Conn.Write(b)
}

func (c *countingConn) Read(b []byte) (int, error) {
	if c.wrote.Swap(false) {
		c.trips.count.Add(1)
	}

	return c.Conn.Read(b)
}
