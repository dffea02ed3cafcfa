package keystore_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

func sealingKey(fill byte) []byte { return bytes.Repeat([]byte{fill}, tokens.SealingKeyBytes) }

func sealer(t *testing.T, keys ...[]byte) *tokens.Sealer {
	t.Helper()
	s, err := tokens.NewSealer(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// config polls as good as never: what a test sees was not a poll's doing.
func config(t *testing.T) keystore.Config {
	t.Helper()
	return keystore.Config{
		Sealer: sealer(t, sealingKey(1)), PublishAhead: time.Hour, Poll: time.Hour, Logger: slog.New(slog.DiscardHandler),
	}
}

func newStore(t *testing.T, pool *pgxpool.Pool, cfg keystore.Config) *keystore.Store {
	t.Helper()
	s, err := keystore.New(pool, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// begun is a replica's store that has begun.
func begun(t *testing.T, pool *pgxpool.Pool, cfg keystore.Config) (*keystore.Store, *tokens.KeyRing) {
	t.Helper()
	s := newStore(t, pool, cfg)
	ring, err := s.Begin(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return s, ring
}

// replica is sessions whose keys are in the database.
type replica struct {
	keys     *keystore.Store
	sessions *sessionstore.Store
}

func newReplica(t *testing.T, pool *pgxpool.Pool, cfg keystore.Config) *replica {
	t.Helper()
	keys, ring := begun(t, pool, cfg)
	sessions, err := sessionstore.New(pool, ring, sessionstore.Config{
		Tokens: tokens.Config{Issuer: "https://issuer.test", Audience: "api", MissingKey: keys.Refresh},
	})
	if err != nil {
		t.Fatal(err)
	}
	keys.OnChange(sessions.SetKeys)
	return &replica{keys, sessions}
}

// run follows the keys until the test ends.
func (r *replica) run(t *testing.T) *replica {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.keys.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

func (r *replica) create(t *testing.T, lifetimes sessionstore.Lifetimes) sessionstore.TokenPair {
	t.Helper()
	_, pair, err := r.sessions.Create(t.Context(), sessionstore.CreateParams{Subject: "ada", Lifetimes: lifetimes})
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func (r *replica) refresh(t *testing.T, pair sessionstore.TokenPair) (sessionstore.TokenPair, error) {
	t.Helper()
	got, err := r.sessions.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{})
	return got.Pair, err
}

func (r *replica) check(t *testing.T, pair sessionstore.TokenPair) (keyID string, err error) {
	t.Helper()
	_, claims, err := r.sessions.Get(t.Context(), string(pair.AccessToken))
	return claims.KeyID, err
}

func list(t *testing.T, s *keystore.Store) []keystore.Key {
	t.Helper()
	keys, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func states(t *testing.T, s *keystore.Store) (all []keystore.State) {
	t.Helper()
	for _, k := range list(t, s) {
		all = append(all, k.State)
	}
	return all
}

func exec(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// pass lets time pass for the keys, and nothing else.
func pass(t *testing.T, pool *pgxpool.Pool, d time.Duration) {
	t.Helper()
	exec(t, pool, `UPDATE "sessionStoreSigningKey" SET "createdAt" = "createdAt" - $1::interval, "signsFrom" = "signsFrom" - $1::interval,
		"verifiesUntil" = "verifiesUntil" - $1::interval, "storedAt" = "storedAt" - $1::interval`, d)
}

func rotate(t *testing.T, s *keystore.Store, now bool) keystore.Key {
	t.Helper()
	key, made, err := s.Rotate(t.Context(), now)
	if err != nil || !made {
		t.Fatalf("rotate: made is %v, %v", made, err)
	}
	return key
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 2*time.Minute {
			t.Fatalf("%s: not in time", what)
		}
	}
}
