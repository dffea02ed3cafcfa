package httpapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// The service inside a program of your own, below /auth: its users refresh and sign out there, and the
// program creates their sessions itself.
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
	const issuer = "https://shop.example.com/auth"
	store, err := sessionstore.New(pool, ring, sessionstore.Config{Tokens: tokens.Config{Issuer: issuer, Audience: "shop"}})
	if err != nil {
		panic(err)
	}
	server, err := httpapi.New(store, ring, httpapi.Config{
		Issuer: issuer, Logger: slog.New(slog.DiscardHandler),
		ServiceKeys: []httpapi.ServiceKey{{Name: "gateway", Secret: "32-random-characters-at-the-least"}},
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/auth/", http.StripPrefix("/auth", server.Public()))
	mux.Handle("/.well-known/oauth-authorization-server/auth", server.Public())

	_, pair, err := store.Create(ctx, sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		panic(err)
	}
	for _, token := range []string{string(pair.RefreshToken), "garbage"} {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/auth/oauth2/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, strings.Contains(w.Body.String(), `"error":"invalid_grant"`))
	}
	// Output:
	// 200 false
	// 400 true
}
