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

// A site whose browsers hold nothing but cookies: log in, load a page, log out. The middleware
// refreshes on the way.
func ExampleCookies() {
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

	type basket struct {
		Items []string `json:"items"`
	}
	sessions := sessionhttp.New[basket](store, sessionhttp.Config{Transport: sessionhttp.Cookies{}, Optional: true})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) { // after the password was checked
		_, _, err := sessions.Begin(w, r, basket{Items: []string{"tea"}}, sessionstore.CreateParams{Subject: "ann"})
		if err != nil {
			sessionhttp.Error(w, r, err)
			return
		}
		_, _ = fmt.Fprint(w, "welcome")
	})
	mux.HandleFunc("GET /basket", func(w http.ResponseWriter, r *http.Request) {
		session := sessions.From(r.Context())
		if session == nil {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprintf(w, "%s has %v", session.Info.Subject, session.Read().Items)
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.End(w, r); err != nil {
			sessionhttp.Error(w, r, err)
			return
		}
		_, _ = fmt.Fprint(w, "goodbye")
	})
	site := sessions.Handler(mux)

	var cookies []*http.Cookie // what the browser holds
	visit := func(method, path string) {
		r := httptest.NewRequestWithContext(ctx, method, path, http.NoBody)
		for _, cookie := range cookies {
			if cookie.MaxAge > 0 {
				r.AddCookie(cookie)
			}
		}
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		if set := w.Result().Cookies(); len(set) > 0 {
			cookies = set
		}
		fmt.Println(w.Code, w.Body)
	}
	visit(http.MethodPost, "/login")
	visit(http.MethodGet, "/basket")
	visit(http.MethodPost, "/logout")
	visit(http.MethodGet, "/basket")
	// Output:
	// 200 welcome
	// 200 ann has [tea]
	// 200 goodbye
	// 401 log in first
}
