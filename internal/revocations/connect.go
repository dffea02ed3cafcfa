package revocations

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
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

// connect opens a connection beside a pool, as the pool does it.
func connect(ctx context.Context, beside *pgxpool.Pool) (*pgx.Conn, error) {
	pool := beside.Config()
	cfg := pool.ConnConfig
	if cfg.ConnectTimeout == 0 || cfg.ConnectTimeout > followConnectTimeout {
		cfg.ConnectTimeout = followConnectTimeout
	}
	if pool.BeforeConnect != nil {
		if err := pool.BeforeConnect(ctx, cfg); err != nil {
			return nil, err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err == nil && pool.AfterConnect != nil {
		if err = pool.AfterConnect(ctx, conn); err != nil {
			disconnect(ctx, conn)
		}
	}
	return conn, err
}

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
	conn, err := connect(ctx, r.Direct)
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
	return conn.Ping(ctx)
}
