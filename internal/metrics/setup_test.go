package metrics_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/metrics"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	serviceKey = "a-service-key-that-only-tests-have-0002"
	secretData = "only-the-backend-may-read-this"
	subject    = "someone-whose-name-is-not-told"
	issuer     = "https://auth.example.com"
	// thumbprint is the key's of RFC 7638, section 3.1.
	thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// measured is a service with metrics on a database of its own.
type measured struct {
	*metrics.Metrics
	keys   *tokens.KeyRing
	pool   *pgxpool.Pool
	store  *sessionstore.Store
	server *httpapi.Server
	// hasty is a store on the same sessions for which every time that has to pass has
	// passed, and with which a subject can have one session only.
	hasty *sessionstore.Store
}

func setup(t *testing.T) *measured {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	m := &measured{Metrics: metrics.New("v1.2.3", log, "latchkey", "agent"), pool: testdb.Pool(t), keys: testkeys.Ring(t)}
	newStore := func(grace time.Duration, limit int) *sessionstore.Store {
		store, err := sessionstore.New(m.pool, m.keys, sessionstore.Config{
			Tokens: tokens.Config{Issuer: issuer, Audience: "latchkey"}, Grace: grace, SessionsPerSubject: limit,
			Clients:   []sessionstore.OAuthClient{{ID: "agent"}, {ID: "not configured any more"}},
			Observers: []sessionstore.Observer{m.Sessions()},
		})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	m.store, m.hasty = newStore(0, 0), newStore(1, 1)
	var err error
	m.server, err = httpapi.New(m.store, m.keys, httpapi.Config{
		Issuer: issuer, ServiceKeys: []httpapi.ServiceKey{{Name: "backend", Secret: serviceKey}}, Logger: log,
		Metrics: m.Handler(), Observers: []httpapi.Observer{m.Requests()},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *measured) create(t *testing.T) (sessionstore.Session, sessionstore.TokenPair) {
	t.Helper()
	session, pair, err := m.store.Create(t.Context(), sessionstore.CreateParams{Subject: subject, Data: []byte(`{"note":"` + secretData + `"}`)})
	if err != nil {
		t.Fatal(err)
	}
	return session, pair
}

// refresh fails the test unless the outcome is the given one.
func refresh(ctx context.Context, t *testing.T, store *sessionstore.Store, token tokens.Secret, want sessionstore.Outcome) sessionstore.TokenPair {
	t.Helper()
	got, err := store.RefreshTokens(ctx, string(token), sessionstore.Client{})
	if err != nil || got.Outcome != want {
		t.Fatalf("refresh: %v, %v; want %v", got.Outcome, err, want)
	}
	return got.Pair
}

// exec changes the database behind the store's back.
// foreign is a refresh token that was signed by other keys, of another issuer or for
// another token endpoint.
func (m *measured) foreign(t *testing.T, keys *tokens.KeyRing, iss, endpoint string) tokens.Secret {
	t.Helper()
	signer, err := tokens.NewSigner(keys, tokens.Config{Issuer: iss, Audience: "latchkey", TokenEndpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	token, err := signer.Sign(tokens.Claims{Type: tokens.RefreshToken, IssuedAt: now, ExpiresAt: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// expired is the refresh token of a session that was unused for too long.
func (m *measured) expired(t *testing.T) tokens.Secret {
	t.Helper()
	session, pair := m.create(t)
	m.exec(t, `UPDATE "sessionStoreToken" SET "expiresAt" = now() WHERE "session" = $1`, session.ID)
	cfg := tokens.Config{Issuer: issuer, Audience: "latchkey"}
	verifier, err := tokens.NewVerifier(m.keys, cfg)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := verifier.Verify(string(pair.RefreshToken), tokens.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	claims.IssuedAt, claims.ExpiresAt = claims.IssuedAt.Add(-2*time.Hour), claims.IssuedAt.Add(-time.Hour)
	signer, err := tokens.NewSigner(m.keys, cfg)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (m *measured) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := m.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// send returns the status and the body of the answer.
func send(t *testing.T, handler http.Handler, method, target, key, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
		if strings.HasPrefix(target, "/oauth2/") {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// scrape returns what a monitoring system gets.
func (m *measured) scrape(t *testing.T) string {
	t.Helper()
	status, body := send(t, m.server.Internal(), "GET", "/metrics", "", "")
	if status != http.StatusOK {
		t.Fatalf("/metrics: %d: %s", status, body)
	}
	return body
}
