//go:build unix

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// freePort returns a port that nothing listens on, below the range that systems use for outgoing connections, so
// that a server that is stopped for a while finds it free when it starts again.
func freePort(ctx context.Context) (int, error) {
	const first, last, tries = 20000, 32000, 50
	var listen net.ListenConfig
	for range tries {
		port := first + rand.IntN(last-first) //nolint:gosec // a port is not a secret
		listener, err := listen.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			return 0, fmt.Errorf("pgserver: %w", err)
		}
		return port, nil
	}

	return 0, errors.New("pgserver: found no free port on 127.0.0.1")
}
