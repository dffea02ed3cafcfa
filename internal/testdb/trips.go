package testdb

import (
	"context"
	"net"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

// CountTrips makes a configuration's connections count their round trips to the server.
func CountTrips(config *pgx.ConnConfig) *atomic.Int64 {
	var trips atomic.Int64
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return &countedConn{Conn: conn, trips: &trips}, err
	}

	return &trips
}

// countedConn counts how often something is sent that is not part of what was sent before: something was read since. A read may
// begin before the write that it gets the answer to.
type countedConn struct {
	net.Conn

	trips *atomic.Int64
	wrote atomic.Bool
}

func (c *countedConn) Write(b []byte) (int, error) {
	if !c.wrote.Swap(true) {
		c.trips.Add(1)
	}

	return c.Conn.Write(b)
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.wrote.Store(false)

	return n, err
}
