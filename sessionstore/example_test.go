package sessionstore_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// A session's life: created at login, read and changed by the backend,
// refreshed by the app, ended.
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

	_, pair, err := store.Create(ctx, sessionstore.CreateParams{Subject: "ann", Data: []byte(`{"theme":"dark"}`)})
	if err != nil {
		panic(err)
	}
	session, _, err := store.Get(ctx, string(pair.AccessToken))
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s has %s\n", session.Subject, session.Data)

	if _, err := store.Update(ctx, session.ID, session.Checksum, []byte(`{"theme":"light"}`)); err != nil {
		panic(err)
	}
	_, err = store.Update(ctx, session.ID, session.Checksum, []byte(`{"theme":"none"}`))
	fmt.Println("a second writer:", err)

	refreshed, err := store.RefreshTokens(ctx, string(pair.RefreshToken), sessionstore.Client{})
	if err != nil {
		panic(err)
	}
	fmt.Println("refresh:", refreshed.Outcome)

	if err := store.Invalidate(ctx, session.ID); err != nil {
		panic(err)
	}
	_, _, err = store.Get(ctx, string(refreshed.Pair.AccessToken))
	fmt.Println("ended:", errors.Is(err, sessionstore.ErrEnded))
	// Output:
	// ann has {"theme": "dark"}
	// a second writer: the session data has changed in the meantime
	// refresh: rotated
	// ended: true
}
