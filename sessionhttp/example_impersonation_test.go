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

// Support staff see what a user sees: in a session that is short, cannot be refreshed, and
// says who acts. A handler refuses actions that must not be done on behalf of another user.
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
		Tokens: tokens.Config{Issuer: "https://shop.example.com", Audience: "shop"},
	})
	if err != nil {
		panic(err)
	}

	sessions := sessionhttp.New[struct{}](store, sessionhttp.Config{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		session := sessions.From(r.Context())
		_, _ = fmt.Fprintf(w, "the orders of %s", session.Info.Subject)
		if actor := session.Claims.Actor; actor != nil {
			_, _ = fmt.Fprintf(w, ", for %s", actor.Subject)
		}
	})
	mux.HandleFunc("DELETE /account", func(w http.ResponseWriter, r *http.Request) {
		if sessions.From(r.Context()).Claims.Actor != nil {
			http.Error(w, "only the user may do this", http.StatusForbidden)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	handler := sessions.Handler(mux)

	// Whether support-7 may act for ann has been decided before.
	acted, pair, err := store.Create(ctx, sessionstore.CreateParams{
		Subject:   "ann",
		Actor:     &tokens.Actor{Subject: "support-7", Issuer: "https://staff.example.com"},
		NoRefresh: true,
		Lifetimes: sessionstore.Lifetimes{AccessToken: 15 * time.Minute},
	})
	if err != nil {
		panic(err)
	}
	fmt.Printf("for %v, refresh token: %t\n", pair.ExpiresIn(), pair.RefreshToken != "")
	send := func(method, path string) {
		r := httptest.NewRequestWithContext(ctx, method, path, nil)
		r.Header.Set("Authorization", "Bearer "+string(pair.AccessToken))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	send(http.MethodGet, "/orders")
	send(http.MethodDelete, "/account")

	// Ann sees who was there, in the list of sessions.
	page, err := store.List(ctx, "ann", sessionstore.ListParams{})
	if err != nil {
		panic(err)
	}
	for _, session := range page.Sessions {
		fmt.Println("in the list:", session.Actor.Subject, session.ID == acted.ID)
	}
	// Output:
	// for 15m0s, refresh token: false
	// 200 the orders of ann, for support-7
	// 403 only the user may do this
	//
	// in the list: support-7 true
}
