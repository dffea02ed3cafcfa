package primary

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Beside opens a connection outside a pool, which requests may have used up, in the same
// way as the pool: with the current password, for example. Connecting may take as long
// as the pool allows, and at most the time-out.
func Beside(ctx context.Context, pool *pgxpool.Pool, timeout time.Duration) (*pgx.Conn, error) {
	cfg := pool.Config()
	if cfg.ConnConfig.ConnectTimeout == 0 || cfg.ConnConfig.ConnectTimeout > timeout {
		cfg.ConnConfig.ConnectTimeout = timeout
	}
	if cfg.BeforeConnect != nil {
		if err := cfg.BeforeConnect(ctx, cfg.ConnConfig); err != nil {
			return nil, err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, cfg.ConnConfig)
	if err != nil || cfg.AfterConnect == nil {
		return conn, err
	}
	if err := cfg.AfterConnect(ctx, conn); err != nil {
		Disconnect(ctx, conn)
		return nil, err
	}
	return conn, nil
}

// disconnectTimeout limits the farewell to a server that may hang.
const disconnectTimeout = 100 * time.Millisecond

// Disconnect closes a connection that is no longer needed, and ignores errors. Nil means
// none.
func Disconnect(ctx context.Context, conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), disconnectTimeout)
	defer cancel()
	_ = conn.Close(ctx) // see above
}
