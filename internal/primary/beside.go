package primary

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Beside opens a connection beside a pool, which requests may have used up, as the pool
// does it: with the password that is right now, for one. Connecting takes as long as the
// pool allows, and at most the time-out.
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
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		_ = conn.Close(closing) // it is of no more use, whatever it says
		return nil, err
	}
	return conn, nil
}

// closeTimeout bounds the good-bye to a server that may hang.
const closeTimeout = 100 * time.Millisecond
