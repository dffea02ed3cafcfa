package main

import (
	"context"
	"net"
	"runtime"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// count counts what does not depend on the machine: round trips and allocations, of one call at a time.
func (b *bench) count(ctx context.Context) {
	r := b.churning
	defer r.close()
	var trips atomic.Int64
	r.openStore(ctx, 1, func(c *pgxpool.Config) {
		c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return &countingConn{Conn: conn, trips: &trips}, err
		}
	})
	for _, o := range []operation{
		of(r, report.Packages, report.Create, ""), of(r, report.Packages, report.Get, report.Seen), of(r, report.Packages, report.Get, report.NotSeen),
		of(r, report.Packages, report.Refresh, ""), of(r, report.Packages, report.Update, ""), of(r, report.Packages, report.Revoke, ""),
	} {
		count := countCalls(ctx, o, &trips)
		b.results.Counts = append(b.results.Counts, count)
		b.say("%v: %.2f round trips, %.0f allocations", o, count.RoundTrips, count.Allocations)
	}
}

func countCalls(ctx context.Context, o operation, trips *atomic.Int64) report.Count {
	// counted is how many calls are counted, after as many that are not.
	const counted = 200

	do := o.prepare(ctx, need{rig: o.rig, variant: o.variant, workers: 1, calls: 2 * counted})
	var before, after runtime.MemStats
	var tripsBefore int64
	for i := range 2 * counted {
		if i == counted {
			runtime.ReadMemStats(&before)
			tripsBefore = trips.Load()
		}
		do(ctx, 0)
	}
	made := trips.Load() - tripsBefore
	runtime.ReadMemStats(&after)

	return report.Count{
		Operation: o.name, Variant: o.variant,
		RoundTrips:     float64(made) / counted,
		Allocations:    float64(after.Mallocs-before.Mallocs) / counted,
		AllocatedBytes: float64(after.TotalAlloc-before.TotalAlloc) / counted,
	}
}

// countingConn counts how often it waits for the server: once for each time it reads after it wrote.
type countingConn struct {
	net.Conn

	trips *atomic.Int64
	wrote atomic.Bool
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.wrote.Store(true)

	return c.Conn.Write(b)
}

func (c *countingConn) Read(b []byte) (int, error) {
	if c.wrote.Swap(false) {
		c.trips.Add(1)
	}

	return c.Conn.Read(b)
}
