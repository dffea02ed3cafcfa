// Package containers has the messages between internal/testdb and the program in test/containers. The program runs one
// PostgreSQL server in a container, and is a separate module: linked into every test binary, the Docker libraries would
// add a fifth to the time to link each of them, although most machines need no container.
//
// The program reads orders from its standard input and writes one answer to each, all as JSON. The first order starts the
// server. When the input ends, the program removes the container: a test binary that dies leaves nothing behind.
package containers

import "time"

// Password is the password of the servers. Tests look for it in logs.
const Password = "the-password-of-a-test-database"

// The orders.
const (
	Start = "start"
	Stop  = "stop"
	Kill  = "kill"
	Peer  = "peer"
)

// Order is what the program is asked to do.
type Order struct {
	Do string `json:"do"`
	// Patience is how long it may take.
	Patience time.Duration `json:"patience"`
	// Settings are the server's, for its first start.
	Settings map[string]string `json:"settings,omitempty"`
	// Primary is the container whose data a standby begins with, for its first start. That server must be stopped.
	Primary string `json:"primary,omitempty"`
}

// Answer is the result of an order.
type Answer struct {
	// Error is empty after success.
	Error string `json:"error,omitempty"`
	// ID is the container's, after a start.
	ID string `json:"id,omitempty"`
	// URL is the server's libpq URL: after a start, as the machine reaches it; for [Peer], as other containers do.
	URL string `json:"url,omitempty"`
}
