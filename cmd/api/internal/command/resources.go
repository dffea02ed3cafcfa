package command

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/user"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/keyfiles"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/trail"
	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// withStore gives a command the sessions. It neither makes nor reads tokens, so it gets by without the service's keys.
// Observers are told what it does.
func withStore(ctx context.Context, s settings.Database, log *slog.Logger, use func(*sessionstore.Store) error, observers ...sessionstore.Observer) error {
	return withStoreOf(ctx, s, log, sessionstore.Config{Observers: observers}, use)
}

// withStoreOf is withStore for a configuration, but for what it says of tokens.
func withStoreOf(ctx context.Context, s settings.Database, log *slog.Logger, cfg sessionstore.Config, use func(*sessionstore.Store) error) error {
	set, err := keyfiles.NewSigningKeys(keystore.DefaultAlgorithm)
	if err != nil {
		return err
	}
	ring, err := tokens.ParseKeyRing([]byte(set))
	if err != nil {
		return err
	}
	cfg.Tokens = tokens.Config{Issuer: "http://localhost", Audience: "api"}
	return database.WithSchema(ctx, s, log, func(pool *pgxpool.Pool) error {
		store, err := sessionstore.New(pool, ring, cfg)
		if err != nil {
			return fmt.Errorf("sessions: %w", err)
		}
		return use(store)
	})
}

// byOperator is [trail.While] for a command: somebody at a command line acts. Standard output is for what a command prints, so
// events that are to go there go to standard error.
func byOperator(a *app, s settings.Audit, log *slog.Logger, use func(context.Context, trail.Trail) error) error {
	return trail.While(a.ctx, s, a.stderr, log, nil, func(t trail.Trail) error {
		return use(audit.WithOrigin(a.ctx, audit.Origin{Actor: audit.Actor{Type: audit.Operator, ID: operatorName()}}), t)
	})
}

// operatorName is user@host, as far as the machine knows.
func operatorName() string {
	name := fmt.Sprintf("uid %d", os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}

// keysTask is what commands about keys in PostgreSQL have in common.
type keysTask struct {
	settings.Database
	settings.StoredKeys
	settings.Log
}

// Validate requires the keys to be in PostgreSQL.
func (k *keysTask) Validate() error { return k.Required() }

func (k *keysTask) withKeys(ctx context.Context, log *slog.Logger, use func(*keystore.Store) error) error {
	return database.WithSchema(ctx, k.Database, log, func(pool *pgxpool.Pool) error {
		keys, err := k.Open(pool, keystore.Config{Logger: log})
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
