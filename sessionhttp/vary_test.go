package sessionhttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/memstore"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// A shared cache must not keep one user's page for another: it learns which header makes the difference,
// from every answer, once.
func TestCachesAreTold(t *testing.T) {
	t.Parallel()
	store := memstore.MustNew(sessionstore.Config{})
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Vary", "Accept-Encoding")
		w.WriteHeader(http.StatusOK)
	})
	for name, test := range map[string]struct {
		transport sessionhttp.Transport
		optional  bool
		handler   http.Handler
		want      []string
	}{
		"cookies, a visitor":  {sessionhttp.Cookies{}, true, page, []string{"Accept-Encoding", "Cookie"}},
		"cookies, refused":    {sessionhttp.Cookies{}, false, page, []string{"Cookie"}},
		"a header":            {sessionhttp.Header("X-Session"), true, page, []string{"Accept-Encoding", "X-Session"}},
		"bearer":              {sessionhttp.Bearer{}, true, page, []string{"Accept-Encoding"}},
		"a time-out inside":   {sessionhttp.Cookies{}, true, http.TimeoutHandler(page, time.Minute, ""), []string{"Accept-Encoding", "Cookie"}},
		"the handler says so": {sessionhttp.Cookies{}, true, says("Origin, cookie"), []string{"Origin, cookie"}},
		"another of cookies":  {sessionhttp.Cookies{}, true, sessionhttp.New[cart](store, sessionhttp.Config{Transport: sessionhttp.Cookies{}, Optional: true}).Handler(page), []string{"Accept-Encoding", "Cookie"}},
	} {
		sessions := sessionhttp.New[cart](store, sessionhttp.Config{Transport: test.transport, Optional: test.optional})
		w := httptest.NewRecorder()
		sessions.Handler(test.handler).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
		if diff := cmp.Diff(test.want, w.Header()["Vary"]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}

	sessions := sessionhttp.New[cart](store, sessionhttp.Config{Transport: sessionhttp.Cookies{}, Optional: true})
	w := httptest.NewRecorder()
	if _, err := sessions.Open(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(w.Header()["Vary"], "; "); got != "Cookie" {
		t.Errorf("beside the middleware: %q", got)
	}
}

func says(vary string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Vary", vary) })
}
