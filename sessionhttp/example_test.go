package sessionhttp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// A handler that counts visits: it changes the session's data, and the
// middleware stores it before the response leaves.
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

	type visitor struct {
		Visits int `json:"visits"`
	}
	sessions := sessionhttp.New[visitor](store, sessionhttp.Config{})
	handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session := sessions.From(r.Context())
		if err := session.Update(r.Context(), func(v *visitor) error { v.Visits++; return nil }); err != nil {
			sessionhttp.Error(w, r, err)
			return
		}
		_, _ = fmt.Fprintf(w, "hello %s, visit %d", session.Info.Subject, session.Read().Visits)
	}))

	_, pair, err := store.Create(ctx, sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		panic(err)
	}
	for range 2 {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+string(pair.AccessToken))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 hello ann, visit 1
	// 200 hello ann, visit 2
}
