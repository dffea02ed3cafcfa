package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"time"

	"github.com/alexedwards/scs/pgxstore"
	"github.com/alexedwards/scs/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// dataKey is the one value that a session has.
const dataKey = "data"

// schema is the table that pgxstore asks for.
const schema = `
CREATE TABLE IF NOT EXISTS sessions (
    token text PRIMARY KEY,
    data bytea NOT NULL,
    expiry timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_expiry_idx ON sessions (expiry)`

// newManager returns scs as it comes, with its clean-up every five minutes.
func newManager(pool *pgxpool.Pool) *scs.SessionManager {
	manager := scs.New()
	manager.Store = pgxstore.New(pool)

	return manager
}

// makeSessions makes sessions as the manager would, but all at once, and returns their cookies.
func makeSessions(ctx context.Context, pool *pgxpool.Pool, manager *scs.SessionManager, sessions int, data []byte) ([]string, error) {
	if _, err := pool.Exec(ctx, schema); err != nil {
		return nil, err
	}

	expiry := time.Now().Add(manager.Lifetime).UTC()
	encoded, err := manager.Codec.Encode(expiry, map[string]any{dataKey: data})
	if err != nil {
		return nil, err
	}
	cookies := make([]string, sessions)
	rows := pgx.CopyFromSlice(sessions, func(i int) ([]any, error) {
		token := newToken()
		cookies[i] = manager.Cookie.Name + "=" + token
		return []any{token, encoded, expiry}, nil
	})
	if _, err := pool.CopyFrom(ctx, pgx.Identifier{"sessions"}, []string{"token", "data", "expiry"}, rows); err != nil {
		return nil, err
	}
	_, err = pool.Exec(ctx, `VACUUM (ANALYZE) sessions`)

	return cookies, err
}

// newToken returns a token like those of scs: 32 random bytes.
func newToken() string {
	var token [32]byte
	_, _ = rand.Read(token[:]) // never fails

	return base64.RawURLEncoding.EncodeToString(token[:])
}
