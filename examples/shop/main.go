// Shop is a small program that keeps its sessions with Latchkey's packages on
// its own database pool and chi router, without the service: a cart that
// survives for as long as its owner stays signed in.
//
//	DATABASE_URL=postgres://… go run ./examples/shop
//
//	POST /login {"user":"ann"}      the tokens (a real shop asks for a password first)
//	GET  /cart                      with the access token: what is in the cart
//	PUT  /cart/{item}               puts one more of it into the cart
//	POST /oauth2/token              a form with grant_type=refresh_token and refresh_token
//	POST /logout                    ends the session
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/migrations"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const maxBody = 1 << 10

// basket is what the shop keeps in a session.
type basket struct {
	Items map[string]int `json:"items"`
}

type shop struct {
	store    *sessionstore.Store
	sessions *sessionhttp.Manager[basket]
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer pool.Close()
	s, err := newShop(ctx, pool)
	if err != nil {
		return err
	}
	// Records which tokens are in use, so that a stolen one is noticed.
	go func() { _ = s.store.Run(ctx) }()
	server := &http.Server{Addr: "127.0.0.1:8090", Handler: s.routes(), ReadHeaderTimeout: 5 * time.Second}
	log.Print("the shop is open at http://", server.Addr)
	return server.ListenAndServe()
}

func newShop(ctx context.Context, pool *pgxpool.Pool) (*shop, error) {
	if _, err := migrations.Up(ctx, pool); err != nil {
		return nil, err
	}
	// Each run has its own key, so every restart signs all users out. Keep
	// it in a file instead: tokens.GenerateKey, or `api keys generate`.
	jwk, _, err := tokens.GenerateKey("ES256")
	if err != nil {
		return nil, err
	}
	keys, err := tokens.AppendKey("", jwk)
	if err != nil {
		return nil, err
	}
	ring, err := tokens.ParseKeyRing([]byte(keys))
	if err != nil {
		return nil, err
	}
	store, err := sessionstore.New(pool, ring, sessionstore.Config{
		Tokens: tokens.Config{Issuer: "http://127.0.0.1:8090", Audience: "shop"},
	})
	if err != nil {
		return nil, err
	}
	return &shop{store: store, sessions: sessionhttp.New[basket](store, sessionhttp.Config{})}, nil
}

func (s *shop) routes() http.Handler {
	r := chi.NewRouter()
	r.Post("/login", s.login)
	r.Post("/oauth2/token", s.refresh)
	r.Group(func(r chi.Router) {
		r.Use(s.sessions.Handler)
		r.Get("/cart", s.showCart)
		r.Put("/cart/{item}", s.addToCart)
		r.Post("/logout", s.logout)
	})
	return r
}

func (s *shop) login(w http.ResponseWriter, r *http.Request) {
	var credentials struct {
		User string `json:"user"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&credentials); err != nil || credentials.User == "" {
		http.Error(w, `a body like {"user":"ann"} is wanted`, http.StatusBadRequest)
		return
	}
	_, pair, err := s.store.Create(r.Context(), sessionstore.CreateParams{
		Subject: credentials.User, Data: []byte(`{"items":{}}`),
		Client: sessionstore.Client{UserAgent: r.UserAgent()},
	})
	if err != nil {
		sessionhttp.Error(w, r, err)
		return
	}
	writeTokens(w, pair)
}

func (s *shop) refresh(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 2*tokens.MaxTokenBytes)
	refreshed, err := s.store.RefreshTokens(r.Context(), r.PostFormValue("refresh_token"),
		sessionstore.Client{UserAgent: r.UserAgent()})
	switch {
	case errors.Is(err, sessionstore.ErrUnavailable):
		sessionhttp.Error(w, r, err) // 503: the app keeps its tokens and retries
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
		writeJSON(w, map[string]string{"error": "invalid_grant"})
	default:
		writeTokens(w, refreshed.Pair)
	}
}

func (s *shop) showCart(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, s.sessions.From(r.Context()).Read())
}

// addToCart stores the change before it reads, so that the response includes what other
// requests have put into the cart meanwhile.
func (s *shop) addToCart(w http.ResponseWriter, r *http.Request) {
	session, item := s.sessions.From(r.Context()), chi.URLParam(r, "item")
	err := session.Update(r.Context(), func(b *basket) error { b.Items[item]++; return nil })
	if err == nil {
		err = session.Save(r.Context())
	}
	if err != nil {
		sessionhttp.Error(w, r, err)
		return
	}
	writeJSON(w, session.Read())
}

func (s *shop) logout(w http.ResponseWriter, r *http.Request) {
	if err := s.sessions.From(r.Context()).End(r.Context()); err != nil {
		sessionhttp.Error(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func writeTokens(w http.ResponseWriter, pair sessionstore.TokenPair) {
	w.Header().Set("Cache-Control", "no-store") // RFC 6749 §5.1
	writeJSON(w, map[string]any{
		"access_token": string(pair.AccessToken), "refresh_token": string(pair.RefreshToken),
		"token_type": "Bearer", "expires_in": int(pair.ExpiresIn().Seconds()),
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone: no error can be sent
}
