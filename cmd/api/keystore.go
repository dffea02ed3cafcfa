package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// minKeyRotation leaves the job that looks after the keys, which runs once an hour, something to be on time for.
const minKeyRotation = duration(time.Hour)

// keystoreSettings say how signing keys in PostgreSQL are kept, if they are there.
type keystoreSettings struct {
	KeyEncryptionKey sealingKeys  `name:"key-encryption-key" group:"tokens" placeholder:"BASE64,..." help:"Keeps the signing keys in PostgreSQL, sealed with this: 32 random bytes in base64. Several may be given: the first seals, all open."`
	KeyAlgorithm     keyAlgorithm `name:"key-algorithm" group:"tokens" placeholder:"ALG" default:"EdDSA" help:"Of new signing keys in PostgreSQL: EdDSA, ES256, RS256, PS256 or HS256."`
}

// keystore returns the keys on the pool; direct is nil unless that leads to a pooler. It asks the database nothing.
func (s keystoreSettings) keystore(pool, direct *pgxpool.Pool, rotateEvery duration, log *slog.Logger) (*keystore.Store, error) {
	sealer, err := tokens.NewSealer(s.KeyEncryptionKey...)
	if err != nil {
		return nil, err
	}
	return keystore.New(pool, keystore.Config{
		Sealer: sealer, Algorithm: string(s.KeyAlgorithm), RotateEvery: time.Duration(rotateEvery), Direct: direct, Logger: log,
	})
}

// named says which setting it is that does not open a key.
func named(err error) error {
	if errors.Is(err, tokens.ErrSealed) {
		return fmt.Errorf("KEY_ENCRYPTION_KEY is not the one that the signing keys in the database were sealed with: %w", err)
	}
	return err
}

// keysTask is what commands about keys in PostgreSQL have in common.
type keysTask struct {
	databaseSettings
	keystoreSettings
	logSettings
}

// Validate wants the keys to be in PostgreSQL.
func (k *keysTask) Validate() error {
	if len(k.KeyEncryptionKey) == 0 {
		return wrong("KEY_ENCRYPTION_KEY", "not set", sealingKeysForm+"; keys in a file are replaced as `api keys generate --help` says")
	}
	return nil
}

func (k *keysTask) withKeys(ctx context.Context, log *slog.Logger, use func(*keystore.Store) error) error {
	return k.withSchema(ctx, log, func(pool *pgxpool.Pool) error {
		keys, err := k.keystore(pool, nil, 0, log)
		if err != nil {
			return err
		}
		return named(use(keys))
	})
}

// keysChange is what commands have in common that change them.
type keysChange struct {
	keysTask
	auditSettings
}

func (k *keysChange) changeKeys(a *app, use func(context.Context, *keystore.Store, trail) error) error {
	log := k.newLogger(a.stderr)
	return k.byOperator(a, log, func(ctx context.Context, t trail) error {
		return k.withKeys(ctx, log, func(keys *keystore.Store) error { return use(ctx, keys, t) })
	})
}
