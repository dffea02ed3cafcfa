package sessionhttp_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// cart is the data of the test's sessions.
type cart struct {
	Items []string       `json:"items,omitempty"`
	More  map[string]any `json:"more,omitempty"`
}

type kit struct {
	store   *sessionstore.Store
	pool    *pgxpool.Pool
	ring    *tokens.KeyRing
	manager *sessionhttp.Manager[cart]
	session sessionstore.Session
	access  string
	refresh string
}

// setup has a session with one item in its cart.
func setup(t *testing.T, cfg sessionhttp.Config) kit {
	t.Helper()
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	pool := testdb.Pool(t)
	store, err := sessionstore.New(pool, ring, config())
	if err != nil {
		t.Fatal(err)
	}
	session, pair, err := store.Create(t.Context(), sessionstore.CreateParams{
		Subject: "ann", Data: []byte(`{"items":["tea"],"more":{"n":12345678901234567890}}`), Claims: []byte(`{"role":"editor"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	return kit{store, pool, ring, sessionhttp.New[cart](store, cfg), session, string(pair.AccessToken), string(pair.RefreshToken)}
}

func config() sessionstore.Config {
	return sessionstore.Config{Tokens: tokens.Config{Issuer: "https://id.example.com", Audience: "https://api.example.com"}}
}

// with is a store on the same database with another configuration.
func (k kit) with(t *testing.T, change func(*sessionstore.Config)) *sessionstore.Store {
	t.Helper()
	cfg := config()
	change(&cfg)
	store, err := sessionstore.New(k.pool, k.ring, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// serve sends one request with the session's access token through the handler.
func (k kit) serve(t *testing.T, handler http.HandlerFunc) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	r.Header.Set("Authorization", "Bearer "+k.access)
	w := httptest.NewRecorder()
	k.manager.Handler(handler).ServeHTTP(w, r)
	return w
}

// stored is the session's data in the database.
func (k kit) stored(t *testing.T) string {
	t.Helper()
	session, err := k.store.Load(t.Context(), k.session.ID)
	if err != nil {
		t.Fatal(err)
	}
	return string(session.Data)
}

// update changes the session's data; the change itself cannot fail.
func update(ctx context.Context, t *testing.T, s *sessionhttp.Session[cart], change func(*cart)) {
	t.Helper()
	if err := s.Update(ctx, func(c *cart) error { change(c); return nil }); err != nil {
		t.Errorf("update: %v", err)
	}
}

// put is a change: one more item.
func put(item string) func(*cart) error {
	return func(c *cart) error { c.Items = append(c.Items, item); return nil }
}

// request brings the session's access token.
func (k kit) request(t *testing.T) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+k.access)
	return r
}

// behindItsBack stores items as another request would.
func (k kit) behindItsBack(ctx context.Context, t *testing.T, items string) {
	t.Helper()
	session, err := k.store.Load(ctx, k.session.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.store.Update(ctx, k.session.ID, session.Checksum, []byte(`{"items":`+items+`}`)); err != nil {
		t.Fatal(err)
	}
}

// items are those that are stored.
func (k kit) items(ctx context.Context, t *testing.T) []string {
	t.Helper()
	session, err := k.store.Load(ctx, k.session.ID)
	if err != nil {
		t.Fatal(err)
	}
	var c cart
	if err := json.Unmarshal(session.Data, &c); err != nil {
		t.Fatal(err)
	}
	return c.Items
}

// logs is a logger and what it recorded.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
