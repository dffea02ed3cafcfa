package httpapi_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// hotPath makes the requests that a service spends its life with, each through
// everything that a listener does to it.
type hotPath struct {
	public, internal http.Handler
	access, refresh  string
	answers          [2]string // the last ones
}

func newHotPath(tb testing.TB) *hotPath {
	tb.Helper()
	keys, err := tokens.ParseKeyRing([]byte(testKeys))
	if err != nil {
		tb.Fatal(err)
	}
	store, err := sessionstore.New(testdb.Pool(tb), keys, sessionstore.Config{
		Tokens: tokens.Config{Issuer: testIssuer, Audience: "latchkey"},
		Grace:  1, // ns: each refresh is a rotation
	})
	if err != nil {
		tb.Fatal(err)
	}
	server, err := httpapi.New(store, keys, httpapi.Config{
		Issuer:      testIssuer,
		ServiceKeys: []httpapi.ServiceKey{{Name: "backend", Secret: serviceKey}},
		Logger:      slog.New(slog.NewJSONHandler(io.Discard, nil)), //nolint:sloglint // each line must be formatted
	})
	if err != nil {
		tb.Fatal(err)
	}
	h := &hotPath{public: server.Public(), internal: server.Internal()}
	h.create(tb)
	return h
}

// operations are named as the store's own are.
func (h *hotPath) operations() map[string]func(testing.TB) {
	return map[string]func(testing.TB){"RefreshTokens": h.rotate, "Get": h.introspect, "Create": h.create}
}

func (h *hotPath) rotate(tb testing.TB) {
	tb.Helper()
	h.keep(tb, h.public, request(http.MethodPost, "/oauth2/token", "application/x-www-form-urlencoded", "grant_type=refresh_token&refresh_token="+h.refresh))
}

func (h *hotPath) create(tb testing.TB) {
	tb.Helper()
	r := request(http.MethodPost, "/v1/sessions", "application/json", `{"subject":"alice","data":{"theme":"dark"}}`)
	r.Header.Set("Authorization", "Bearer "+serviceKey)
	h.keep(tb, h.internal, r)
}

func (h *hotPath) introspect(tb testing.TB) {
	tb.Helper()
	r := request(http.MethodPost, "/oauth2/introspect", "application/x-www-form-urlencoded", "token="+h.access)
	r.Header.Set("Authorization", "Bearer "+serviceKey)
	if body := h.answer(tb, h.internal, r); !strings.Contains(body, `"active":true`) {
		tb.Fatal(body)
	}
}

// keep takes the tokens of an answer for the next request.
func (h *hotPath) keep(tb testing.TB, handler http.Handler, r *http.Request) {
	tb.Helper()
	var document struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(h.answer(tb, handler, r)), &document); err != nil {
		tb.Fatal(err)
	}
	if document.Refresh == h.refresh {
		tb.Fatal("the same refresh token again")
	}
	h.access, h.refresh = document.Access, document.Refresh
}

func request(method, path, mediaType, body string) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", mediaType)
	return r
}

func (h *hotPath) answer(tb testing.TB, handler http.Handler, r *http.Request) string {
	tb.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code/100 != 2 {
		tb.Fatalf("%d: %s", w.Code, w.Body)
	}
	h.answers[0], h.answers[1] = h.answers[1], w.Body.String()
	return h.answers[1]
}

// The request and the reading of its answer are counted too.
func BenchmarkHandlers(b *testing.B) {
	for name, do := range newHotPath(b).operations() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				do(b)
			}
		})
	}
}
