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

// countedConn counts how often it waits for an answer after sending something.
type countedConn struct {
	net.Conn

	trips *atomic.Int64
	wrote atomic.Bool
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.wrote.Store(true)

	return c.Conn.Write(b)
}

func (c *countedConn) Read(b []byte) (int, error) {
	if c.wrote.Swap(false) {
		c.trips.Add(1)
	}

	return c.Conn.Read(b)
}
