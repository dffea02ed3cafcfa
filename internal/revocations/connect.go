package revocations

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/primary"
)

const (
	followConnectTimeout = 2 * time.Second
	disconnectTimeout    = 100 * time.Millisecond

	// listenPause is how long to wait before a new connection for notifications,
	// listenCheck how often one is looked at that says nothing.
	listenPause   = time.Second
	listenCheck   = 15 * time.Second
	listenTimeout = 5 * time.Second
)

func disconnect(ctx context.Context, conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), disconnectTimeout)
	defer cancel()
	_ = conn.Close(ctx) // it is of no more use, whatever it says
}

// listen wakes whenever a revocation is notified. Its failures are nobody's concern.
func (r *Source) listen(ctx context.Context, wake chan<- struct{}) {
	for ctx.Err() == nil {
		_ = r.listenOnce(ctx, wake)
		select {
		case <-time.After(listenPause):
		case <-ctx.Done():
		}
	}
}

func (r *Source) listenOnce(ctx context.Context, wake chan<- struct{}) error {
	conn, err := primary.Beside(ctx, r.Direct, followConnectTimeout)
	if err != nil {
		return err
	}
	defer disconnect(ctx, conn)
	if _, err := conn.Exec(ctx, "LISTEN "+Channel); err != nil {
		return err
	}
	for {
		err := waitForNotification(ctx, conn)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			if err := check(ctx, conn); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			select {
			case wake <- struct{}{}:
			default: // it is woken already
			}
		}
	}
}

func waitForNotification(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, listenCheck)
	defer cancel()
	_, err := conn.WaitForNotification(ctx)
	return err
}

func check(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	return primary.CheckWrites(conn.QueryRow(ctx, primary.ReadOnlyQuery))
}
