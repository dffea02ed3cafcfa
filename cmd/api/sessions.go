package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// sessionsCmd holds an operator's commands about sessions.
type sessionsCmd struct {
	List   sessionsListCmd   `cmd:"" help:"List a subject's live sessions, the newest first."`
	Revoke sessionsRevokeCmd `cmd:"" help:"End sessions now."`
}

// withStore gives a command the sessions. It neither makes nor reads tokens, so it gets by without the service's keys.
// Observers are told what it does.
func (s databaseSettings) withStore(ctx context.Context, log *slog.Logger, use func(*sessionstore.Store) error, observers ...sessionstore.Observer) error {
	return s.withStoreOf(ctx, log, sessionstore.Config{Observers: observers}, use)
}

// withStoreOf is withStore for a configuration, but for what it says of tokens.
func (s databaseSettings) withStoreOf(ctx context.Context, log *slog.Logger, cfg sessionstore.Config, use func(*sessionstore.Store) error) error {
	key, _, err := tokens.GenerateKey(defaultAlgorithm)
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
	return s.withSchema(ctx, log, func(pool *pgxpool.Pool) error {
		store, err := sessionstore.New(pool, ring, cfg)
		if err != nil {
			return fmt.Errorf("sessions: %w", err)
		}
		return use(store)
	})
}
