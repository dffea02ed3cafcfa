package httpapi_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// The routes that need nothing but the token's claims do what they do without a
// verifier, and refuse the token of a session that ended soon after its end.
func TestOwnSessionsWithAVerifier(t *testing.T) {
	t.Parallel()
	f := setupFeed(t)
	one, two, three := f.create(t, "ann"), f.create(t, "ann"), f.create(t, "ann")
	bob, nobody := f.create(t, "bob"), f.create(t, "")

	all, current := ids(t, f.public(t, "GET", "/v1/me/sessions", bearer(one.access)).want(t, 200).json(t))
	if len(all) != 3 || current != one.id {
		t.Errorf("ann's sessions are %v, the current one %q", all, current)
	}
	if all, current = ids(t, f.public(t, "GET", "/v1/me/sessions", bearer(nobody.access)).want(t, 200).json(t)); len(all) != 1 || current != nobody.id {
		t.Errorf("nobody's sessions are %v, the current one %q", all, current)
	}
	f.public(t, "DELETE", "/v1/me/sessions/"+bob.id, bearer(one.access)).wantProblem(t, 404, "session_not_found")
	f.public(t, "DELETE", "/v1/me/sessions/"+two.id, bearer(one.access)).want(t, 204)
	f.awaitRefusal(t, two.access)
	f.public(t, "DELETE", "/v1/me/sessions/current", bearer(three.access)).want(t, 204)
	f.awaitRefusal(t, three.access)
	f.public(t, "DELETE", "/v1/me/sessions", bearer(one.access)).want(t, 200)
	f.awaitRefusal(t, one.access)
	f.public(t, "DELETE", "/v1/me/sessions", bearer(nobody.access)).want(t, 200)
	f.awaitRefusal(t, nobody.access)
	f.public(t, "GET", "/v1/me/sessions", bearer(bob.access)).want(t, 200)
	f.public(t, "GET", "/v1/me/sessions", bearer(bob.refresh)).wantProblem(t, 401, "invalid_token")
	f.public(t, "GET", "/v1/me/sessions", bearer("x")).wantProblem(t, 401, "invalid_token")
	f.public(t, "GET", "/v1/me/sessions").wantProblem(t, 401, "missing_token")
}

func (f feed) awaitRefusal(t *testing.T, token string) {
	t.Helper()
	for ended := time.Now(); ; time.Sleep(time.Millisecond) {
		asked := time.Now()
		answer := f.public(t, "GET", "/v1/me/sessions", bearer(token))
		if answer.StatusCode == 401 {
			answer.wantProblem(t, 401, "invalid_token")
			return
		}
		if answer.want(t, 200); asked.Sub(ended) > feedBound {
			t.Fatalf("it is still accepted %v later", asked.Sub(ended))
		}
	}
}

// A token that a refresh has replaced is valid until it expires, but where the session itself is shown for no longer
// than a grace.
func TestReplacedTokenWithAVerifier(t *testing.T) {
	t.Parallel()
	f := setupFeed(t)
	session := f.create(t, "ann")
	f.refresh(t, session.refresh).want(t, 200)
	f.endGrace(t)
	f.public(t, "GET", "/v1/me/sessions", bearer(session.access)).want(t, 200)
	f.public(t, "GET", "/v1/me/sessions/current", bearer(session.access)).wantProblem(t, 401, "invalid_token")
}

// A verifier without data, on an unreachable database, gives 503.
func TestVerifierThatCannotTell(t *testing.T) {
	t.Parallel()
	s := setup(t, func(cfg *httpapi.Config, storeCfg *sessionstore.Config) {
		nowhere, err := pgxpool.New(t.Context(), "postgres://127.0.0.1:1/nothing?connect_timeout=1")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nowhere.Close)
		keys, err := tokens.ParseKeyRing([]byte(testKeys))
		if err != nil {
			t.Fatal(err)
		}
		store, err := sessionstore.New(nowhere, keys, *storeCfg)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Verifier, err = store.Verifier(verifier.Config{Logger: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatal(err)
		}
	})
	session := s.create(t, "ann")
	answer := s.public(t, "DELETE", "/v1/me/sessions", bearer(session.access))
	answer.wantProblem(t, 503, "unavailable")
	if answer.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.public(t, "DELETE", "/v1/me/sessions", bearer("x")).wantProblem(t, 401, "invalid_token")
}

type counter struct{ n atomic.Int64 }

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.n.Add(1)
	return ctx
}

func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// In normal operation such a route queries the database once: for its answer.
func TestVerifierCostsNoRead(t *testing.T) {
	t.Parallel()
	counter := &counter{}
	cfg, err := pgxpool.ParseConfig(testdb.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg.ConnConfig.Tracer = counter
	counted, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(counted.Close)
	plain, err := pgxpool.New(t.Context(), cfg.ConnString())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plain.Close)
	s := setupOn(t, counted, withBound(t, plain, time.Minute)) // longer than any pause of a busy machine
	session := s.create(t, "ann")
	before := counter.n.Load()
	s.public(t, "GET", "/v1/me/sessions", bearer(session.access)).want(t, 200)
	if n := counter.n.Load() - before; n != 1 {
		t.Errorf("%d statements", n)
	}
}
