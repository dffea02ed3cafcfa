package sessionhttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// An API for apps that keep their tokens themselves: log in, refresh, log out.
func Example_login() {
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

	type profile struct {
		Theme string `json:"theme"`
	}
	sessions := sessionhttp.New[profile](store, sessionhttp.Config{})
	writeTokens := func(w http.ResponseWriter, pair sessionstore.TokenPair) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"access_token": string(pair.AccessToken), "refresh_token": string(pair.RefreshToken),
			"token_type": "Bearer", "expires_in": int(pair.ExpiresIn().Seconds()),
		})
	}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) { // after the password was checked
		_, pair, err := sessions.Begin(w, r, profile{Theme: "dark"}, sessionstore.CreateParams{Subject: r.FormValue("user")})
		if err != nil {
			sessionhttp.Error(w, r, err)
			return
		}
		writeTokens(w, pair)
	})
	mux.HandleFunc("POST /refresh", func(w http.ResponseWriter, r *http.Request) {
		refreshed, err := store.RefreshTokens(r.Context(), r.PostFormValue("refresh_token"), sessionstore.Client{UserAgent: r.UserAgent()})
		switch {
		case errors.Is(err, sessionstore.ErrUnavailable):
			sessionhttp.Error(w, r, err) // 503: the app keeps its tokens and tries again
		case err != nil:
			http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest) // the user has to log in
		default:
			writeTokens(w, refreshed.Pair)
		}
	})
	mux.Handle("GET /profile", sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session := sessions.From(r.Context())
		_, _ = fmt.Fprintf(w, "%s likes it %s", session.Info.Subject, session.Read().Theme)
	})))
	mux.Handle("POST /logout", sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.End(w, r); err != nil {
			sessionhttp.Error(w, r, err)
			return
		}
		_, _ = fmt.Fprint(w, "goodbye")
	})))

	var pair struct { // what the app holds
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	call := func(method, path string, form url.Values) []byte {
		r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", "Bearer "+pair.Access)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(method, path, w.Code)
		return w.Body.Bytes()
	}
	if err := json.Unmarshal(call("POST", "/login", url.Values{"user": {"ann"}}), &pair); err != nil {
		panic(err)
	}
	if err := json.Unmarshal(call("POST", "/refresh", url.Values{"refresh_token": {pair.Refresh}}), &pair); err != nil {
		panic(err)
	}
	fmt.Println(string(call("GET", "/profile", nil)))
	call("POST", "/logout", nil)
	call("GET", "/profile", nil)
	call("POST", "/refresh", url.Values{"refresh_token": {pair.Refresh}})
	// Output:
	// POST /login 200
	// POST /refresh 200
	// GET /profile 200
	// ann likes it dark
	// POST /logout 200
	// GET /profile 401
	// POST /refresh 400
}
