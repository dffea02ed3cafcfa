package primary

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// listenPause is how long to wait before a new connection for notifications.
	listenPause = time.Second
	// listenCheck is how often a silent connection is checked.
	listenCheck = 15 * time.Second
	// listenTimeout limits such a check, listenConnectTimeout connecting to one of several addresses.
	listenTimeout, listenConnectTimeout = 5 * time.Second, 2 * time.Second
)

// Listen wakes whenever the channel is notified, and whenever a notification may have been
// missed, until ctx ends. It has its own connection, made like those of the pool. Its
// failures do not matter: its caller must poll from time to time anyway, since
// nothing promises that a notification arrives.
func Listen(ctx context.Context, pool *pgxpool.Pool, channel string, wake chan<- struct{}) {
	for ctx.Err() == nil {
		_ = listenOnce(ctx, pool, channel, wake)
		select {
		case <-time.After(listenPause):
		case <-ctx.Done():
		}
	}
}

func listenOnce(ctx context.Context, pool *pgxpool.Pool, channel string, wake chan<- struct{}) error {
	conn, err := Beside(ctx, pool, listenConnectTimeout)
	if err != nil {
		return err
	}
	defer Disconnect(ctx, conn)
	if err := limited(ctx, listenTimeout, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize())
		return err
	}); err != nil {
		return err
	}
	for {
		select {
		case wake <- struct{}{}:
		default: // it is already woken
		}
		if err := wait(ctx, conn); err != nil {
			return err
		}
	}
}

// wait returns nil when the connection is notified.
func wait(ctx context.Context, conn *pgx.Conn) error {
	for {
		err := limited(ctx, listenCheck, func(ctx context.Context) error {
			_, err := conn.WaitForNotification(ctx)
			return err
		})
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if err := limited(ctx, listenTimeout, func(ctx context.Context) error { return CheckWrites(conn.QueryRow(ctx, ReadOnlyQuery)) }); err != nil {
			return err
		}
	}
}

func limited(ctx context.Context, timeout time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return do(ctx)
}
