// Package distance puts a network between a client and a server that run on the same machine.
package distance

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
)

// inFlight is how many pieces are on their way at most: far more than a server and its client have under way.
const inFlight = 1024

// Start lets connections to an address through to the target, each piece so much later than it was sent, until stop, which
// waits for clients to close theirs.
func Start(ctx context.Context, target string, oneWay time.Duration) (address string, stop func()) {
	listener := must.Get(new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"))
	var all sync.WaitGroup
	all.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil { // it was closed
				return
			}
			far, err := new(net.Dialer).DialContext(ctx, "tcp", target)
			if err != nil {
				_ = near.Close() // the client sees that
				continue
			}
			all.Go(func() { carry(far, near, oneWay) })
			all.Go(func() { carry(near, far, oneWay) })
		}
	})
	return listener.Addr().String(), func() {
		must.Do(listener.Close())
		all.Wait()
	}
}

type piece struct {
	due  time.Time
	data []byte
}

// carry copies until one of both ends, and closes the other.
func carry(to, from net.Conn, oneWay time.Duration) {
	pieces := make(chan piece, inFlight)
	go func() {
		defer close(pieces)
		for buffer := make([]byte, 64<<10); ; {
			n, err := from.Read(buffer)
			if n > 0 {
				pieces <- piece{time.Now().Add(oneWay), slices.Clone(buffer[:n])}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			_ = from.Close() // so that its reader ends
		}
	}
	_ = to.Close() // it may have ended
}
