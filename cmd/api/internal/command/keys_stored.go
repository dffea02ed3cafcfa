package command

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/trail"
	"github.com/latchkey-sessions/latchkey/keystore"
)

// keysTask is what commands about keys in PostgreSQL have in common.
type keysTask struct {
	settings.Database
	settings.StoredKeys
	settings.Log
}

// Validate wants the keys to be in PostgreSQL.
func (k *keysTask) Validate() error { return k.Required() }

func (k *keysTask) withKeys(ctx context.Context, log *slog.Logger, use func(*keystore.Store) error) error {
	return database.WithSchema(ctx, k.Database, log, func(pool *pgxpool.Pool) error {
		cfg, err := k.Keystore()
		if err != nil {
			return err
		}
		cfg.Logger = log
		keys, err := keystore.New(pool, cfg)
		if err != nil {
			return err
		}
		return settings.Named(use(keys))
	})
}

// keysChange is what commands have in common that change them.
type keysChange struct {
	keysTask
	settings.Audit
}

func (k *keysChange) changeKeys(a *app, use func(context.Context, *keystore.Store, trail.Trail) error) error {
	log := k.NewLogger(a.stderr)
	return byOperator(a, k.Audit, log, func(ctx context.Context, t trail.Trail) error {
		return k.withKeys(ctx, log, func(keys *keystore.Store) error { return use(ctx, keys, t) })
	})
}
