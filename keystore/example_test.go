package keystore_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// All replicas of a program sign with the keys of the database, which are replaced every three months.
func Example() {
	ctx := context.Background()
	pool, done := testdb.ForExample() // your own *pgxpool.Pool, after migrations.Up
	defer done()
	secret := make([]byte, tokens.SealingKeyBytes) // made once, and kept where your passwords are
	_, _ = rand.Read(secret)
	sealer, err := tokens.NewSealer(secret)
	if err != nil {
		panic(err)
	}
	keys, err := keystore.New(pool, keystore.Config{
		Sealer: sealer, RotateEvery: 90 * 24 * time.Hour, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	ring, err := keys.Begin(ctx, "") // of many replicas that begin at once, one makes the first key
	if err != nil {
		panic(err)
	}
	store, err := sessionstore.New(pool, ring, sessionstore.Config{
		Tokens: tokens.Config{Issuer: "https://id.example.com", Audience: "https://api.example.com"},
	})
	if err != nil {
		panic(err)
	}
	keys.OnChange(store.SetKeys)
	// A program also calls keys.Run in a separate goroutine, and keys.Maintain once per
	// hour.

	made, _, err := keys.Rotate(ctx, true)
	if err != nil {
		panic(err)
	}
	if err := keys.Refresh(); err != nil { // Run would have noticed it on its own
		panic(err)
	}
	_, pair, err := store.Create(ctx, sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		panic(err)
	}
	claims, err := store.VerifyToken(string(pair.AccessToken))
	fmt.Println(made.State, claims.Subject, err)
	// Output:
	// signs ann <nil>
}
