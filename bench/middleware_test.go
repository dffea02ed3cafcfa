package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// memory answers as a store does, without a database: what is measured is the middleware.
type memory struct {
	sessionhttp.Store
}

func (memory) GetWith(context.Context, string, sessionstore.GetOptions) (sessionstore.Session, tokens.Claims, error) {
	return sessionstore.Session{Data: []byte(`{"user":"ada","visits":7}`)}, tokens.Claims{}, nil
}

type visitor struct {
	User   string `json:"user"`
	Visits int    `json:"visits"`
}

// discard is an answer that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// ours reads a session with the middleware.
func ours(tb testing.TB) func() {
	tb.Helper()
	sessions := sessionhttp.New[visitor](memory{}, sessionhttp.Config{})
	handler := sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if got := sessions.From(r.Context()).Read(); got.User != "ada" || got.Visits != 7 {
			tb.Errorf("read %+v", got)
		}
	}))
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer a.b.c")
	return func() { handler.ServeHTTP(discard{http.Header{}}, r) }
}

// theirs reads the same with scs.
func theirs(tb testing.TB) func() {
	tb.Helper()
	sessions := scs.New()
	sessions.Store = memstore.NewWithCleanupInterval(0)
	data, err := sessions.Codec.Encode(time.Now().Add(time.Hour), map[string]any{"user": "ada", "visits": 7})
	if err != nil {
		tb.Fatal(err)
	}
	if err := sessions.Store.Commit("a.b.c", data, time.Now().Add(time.Hour)); err != nil {
		tb.Fatal(err)
	}
	handler := sessions.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if user, visits := sessions.GetString(r.Context(), "user"), sessions.GetInt(r.Context(), "visits"); user != "ada" || visits != 7 {
			tb.Errorf("read %q, %d", user, visits)
		}
	}))
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/", http.NoBody)
	r.AddCookie(&http.Cookie{Name: sessions.Cookie.Name, Value: "a.b.c"})
	return func() { handler.ServeHTTP(discard{http.Header{}}, r) }
}

// A session that is read and not changed allocates less than with scs.
func TestMiddlewareAllocations(t *testing.T) { //nolint:paralleltest // others would allocate meanwhile
	if own, rival := testing.AllocsPerRun(100, ours(t)), testing.AllocsPerRun(100, theirs(t)); own > rival {
		t.Errorf("%v allocations, where scs has %v", own, rival)
	}
}

func BenchmarkMiddleware(b *testing.B) {
	for name, serve := range map[string]func(testing.TB) func(){"sessionhttp": ours, "scs": theirs} {
		b.Run(name, func(b *testing.B) {
			request := serve(b)
			b.ReportAllocs()
			for b.Loop() {
				request()
			}
		})
	}
}
