package sessionhttp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Somebody of the support acts as a user, in a session that says so and ends within the hour.
func Example_impersonation() {
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

	sessions := sessionhttp.New[struct{}](store, sessionhttp.Config{})
	handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session := sessions.From(r.Context())
		if actor := session.Claims.Actor; actor != nil && r.Method != http.MethodGet {
			http.Error(w, actor.Subject+" may only look", http.StatusForbidden)
			return
		}
		_, _ = fmt.Fprintf(w, "the orders of %s", session.Info.Subject)
	}))

	_, pair, err := store.Create(ctx, sessionstore.CreateParams{
		Subject: "ann", Actor: &tokens.Actor{Subject: "support-7"}, // RFC 8693 §4.1
		Lifetimes: sessionstore.Lifetimes{Session: time.Hour},
	})
	if err != nil {
		panic(err)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		r := httptest.NewRequestWithContext(ctx, method, "/orders", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+string(pair.AccessToken))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 the orders of ann
	// 403 support-7 may only look
}
