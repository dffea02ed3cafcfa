package command

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/keyfiles"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
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
	key, _, err := tokens.GenerateKey(keyfiles.Algorithm)
	if err != nil {
		return err
	}
	set, err := tokens.AppendKey("", key)
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
