package cleanup_test

import (
	"context"
	"fmt"
	"time"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// A program removes what has ended once an hour, or whenever it likes.
func Example() {
	ctx := context.Background()
	pool, done := testdb.ForExample() // your own *pgxpool.Pool, after migrations.Up
	defer done()
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		panic(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		panic(err)
	}
	store, err := sessionstore.New(pool, ring, sessionstore.Config{
		Tokens: tokens.Config{Issuer: "https://id.example.com", Audience: "https://api.example.com"},
	})
	if err != nil {
		panic(err)
	}

	session, _, err := store.Create(ctx, sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		panic(err)
	}
	if err := store.Invalidate(ctx, session.ID); err != nil {
		panic(err)
	}
	summary, err := cleanup.Run(ctx, store, cleanup.Config{Retention: 30 * 24 * time.Hour, DryRun: true})
	if err != nil {
		panic(err)
	}
	fmt.Println("due:", summary.Sessions) // it ended a moment ago, and is kept for 30 days
	// Output:
	// due: 0
}
