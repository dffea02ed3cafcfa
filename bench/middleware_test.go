package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
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
	return sessionstore.Session{Data: []byte(`{"user":"ada","visits":7}`)}, tokens.Claims{ExpiresAt: time.Now().Add(time.Hour)}, nil
}

type visitor struct {
	User   string `json:"user"`
	Visits int    `json:"visits"`
}

// discard is a response that is not read.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// bearer and cookies read a session with the middleware.
func bearer(tb testing.TB) func() {
	tb.Helper()
	return ours(tb, sessionhttp.Bearer{}, "Authorization", "Bearer a.b.c")
}

func cookies(tb testing.TB) func() {
	tb.Helper()
	return ours(tb, sessionhttp.Cookies{}, "Cookie", "__Host-session=a.b.c; __Host-session-refresh=d.e.f")
}

func ours(tb testing.TB, transport sessionhttp.Transport, name, value string) func() {
	tb.Helper()
	sessions := sessionhttp.New[visitor](memory{}, sessionhttp.Config{Transport: transport})
	handler := sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if got := sessions.From(r.Context()).Read(); got.User != "ada" || got.Visits != 7 {
			tb.Errorf("read %+v", got)
		}
	}))
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/", http.NoBody)
	r.Header.Set(name, value)
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
	rival := testing.AllocsPerRun(100, theirs(t))
	for name, serve := range map[string]func(testing.TB) func(){"bearer": bearer, "cookies": cookies} {
		if own := testing.AllocsPerRun(100, serve(t)); own > rival {
			t.Errorf("%s: %v allocations, where scs has %v", name, own, rival)
		}
	}
}

// BenchmarkMiddleware serves requests, some of them at once. Its figures are compared within one run.
func BenchmarkMiddleware(b *testing.B) {
	for _, atOnce := range []int{1, 8, 32} {
		for _, of := range []struct {
			name  string
			serve func(testing.TB) func()
		}{{"bearer", bearer}, {"cookies", cookies}, {"scs", theirs}} {
			b.Run(fmt.Sprintf("%d/%s", atOnce, of.name), func(b *testing.B) {
				request := of.serve(b)
				b.ReportAllocs()
				var served atomic.Int64
				var all sync.WaitGroup
				b.ResetTimer()
				for range atOnce {
					all.Go(func() {
						for served.Add(1) <= int64(b.N) {
							request()
						}
					})
				}
				all.Wait()
			})
		}
	}
}
