package verifier_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// A resource server without a database: it follows the service's revocations, and asks it when
// it cannot know.
func ExampleNewRemote() {
	ctx := context.Background()
	store, public, internal, done := exampleService() // an `api serve` somewhere else
	defer done()

	v, err := verifier.NewRemote(verifier.RemoteConfig{
		Tokens:     tokens.Config{Issuer: issuer, Audience: audience},
		Internal:   internal, // such as http://latchkey.internal:8081
		ServiceKey: "a-service-key-as-long-as-those-are",
		Keys:       public + "/.well-known/jwks.json", // by default below the issuer
	}, verifier.Config{})
	if err != nil {
		panic(err)
	}
	// A program also calls v.Run in a separate goroutine: most tokens are then accepted without
	// a request.
	orders := v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := verifier.FromContext(r.Context())
		_, _ = fmt.Fprintf(w, "the orders of %s", claims.Subject)
	}))

	session, pair, err := store.Create(ctx, sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		panic(err)
	}
	call := func() {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/orders", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+string(pair.AccessToken))
		w := httptest.NewRecorder()
		orders.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	call()
	if err := store.Invalidate(ctx, session.ID); err != nil {
		panic(err)
	}
	call()
	// Output:
	// 200 the orders of ann
	// 401 Unauthorized
}

// exampleService is a service with both its listeners.
func exampleService() (store *sessionstore.Store, publicURL, internalURL string, done func()) {
	pool, drop := testdb.ForExample()
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		panic(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		panic(err)
	}
	store, err = sessionstore.New(pool, ring, sessionstore.Config{Tokens: tokens.Config{Issuer: issuer, Audience: audience}})
	if err != nil {
		panic(err)
	}
	server, err := httpapi.New(store, ring, httpapi.Config{
		Issuer: issuer, Logger: slog.New(slog.DiscardHandler),
		ServiceKeys: []httpapi.ServiceKey{{Name: "orders", Secret: "a-service-key-as-long-as-those-are"}},
	})
	if err != nil {
		panic(err)
	}
	public, internal := httptest.NewServer(server.Public()), httptest.NewServer(server.Internal())
	return store, public.URL, internal.URL, func() {
		public.Close()
		internal.Close()
		drop()
	}
}
