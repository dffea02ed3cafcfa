package sessionhttp_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const unchanged = `{"more": {"n": 12345678901234567890}, "items": ["tea"]}`

func TestHandlerReadsAndChangesData(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	w := k.serve(t, func(w http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		if session.Info.Subject != "ann" || session.Claims.SessionID != k.session.ID || session.Read().Items[0] != "tea" {
			t.Errorf("session %+v", session)
		}
		update(r.Context(), t, session, func(c *cart) { c.Items = append(c.Items, "milk") })
		if got := session.Read().Items; len(got) != 2 {
			t.Errorf("its own change is not read: %v", got)
		}
		w.WriteHeader(http.StatusCreated)
	})
	// Numbers that no float holds survive a change elsewhere.
	if want := `{"more": {"n": 12345678901234567890}, "items": ["tea", "milk"]}`; w.Code != http.StatusCreated || k.stored(t) != want {
		t.Errorf("%d, %s", w.Code, k.stored(t))
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	type own struct {
		Role string `json:"role"`
	}
	w := k.serve(t, func(w http.ResponseWriter, r *http.Request) {
		claims, err := sessionhttp.Claims[own](k.manager.From(r.Context()))
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write([]byte(claims.Role))
	})
	if w.Body.String() != "editor" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestHandlerThatWritesNothing(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	w := k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		update(r.Context(), t, k.manager.From(r.Context()), func(c *cart) { c.Items = nil })
	})
	if want := `{"more": {"n": 12345678901234567890}}`; w.Code != http.StatusOK || k.stored(t) != want {
		t.Errorf("%d, %s", w.Code, k.stored(t))
	}
}

// RFC 6750 §3: the answer to a request without a valid token.
func TestRefusals(t *testing.T) {
	t.Parallel()
	var log logs
	k := setup(t, sessionhttp.Config{Logger: log.logger()})
	for name, test := range map[string]struct {
		headers   []string
		challenge string
	}{
		"no token":      {nil, `Bearer`},
		"nonsense":      {[]string{"Bearer nonsense"}, `Bearer error="invalid_token"`},
		"another kind":  {[]string{"Basic " + k.access}, `Bearer error="invalid_token"`},
		"two tokens":    {[]string{"Bearer " + k.access + " " + k.access}, `Bearer error="invalid_token"`},
		"two headers":   {[]string{"Bearer " + k.access, "Bearer " + k.access}, `Bearer error="invalid_token"`},
		"only a scheme": {[]string{"Bearer"}, `Bearer error="invalid_token"`},
		"empty":         {[]string{""}, `Bearer error="invalid_token"`},
	} {
		// A token in the query string or a form is ignored (RFC 9700 §4.3.2).
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/?access_token="+k.access, strings.NewReader("access_token="+k.access))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header["Authorization"] = test.headers
		w := httptest.NewRecorder()
		k.manager.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			t.Errorf("%s: served", name)
		})).ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != test.challenge {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
	if log.String() != "" {
		t.Errorf("errors of the clients are in the log: %q", log.String())
	}
}

// A request that was under way when its token was replaced is served, for a grace.
func TestReplacedToken(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	if _, err := k.store.RefreshTokens(t.Context(), k.refresh, sessionstore.Client{}); err != nil {
		t.Fatal(err)
	}
	if w := k.serve(t, func(http.ResponseWriter, *http.Request) {}); w.Code != http.StatusOK {
		t.Errorf("at once: %d", w.Code)
	}
	if _, err := k.pool.Exec(t.Context(), `UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - $1::interval`, sessionstore.DefaultGrace); err != nil {
		t.Fatal(err)
	}
	if w := k.serve(t, func(http.ResponseWriter, *http.Request) {}); w.Code != http.StatusUnauthorized {
		t.Errorf("after the grace: %d", w.Code)
	}
}

func TestOptional(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{Optional: true})
	served := false
	handler := k.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		served = k.manager.From(r.Context()) == nil
	}))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if !served {
		t.Error("a request without a token was not served without a session")
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer nonsense")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("a bad token: %d", w.Code)
	}
}

// A database that is down is 503, never 401, and in the log.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	var log logs
	k := setup(t, sessionhttp.Config{Logger: log.logger()})
	k.pool.Close()
	w := k.serve(t, nil)
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "could not be loaded") || strings.Contains(got, k.access) {
		t.Errorf("the log is %q", got)
	}
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// A client that hangs up is not an outage; a time limit of ours is.
func TestClientHangsUp(t *testing.T) {
	t.Parallel()
	var log logs
	k := setup(t, sessionhttp.Config{Logger: log.logger()})
	handler := k.manager.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was served") }))
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for want, ctx := range map[int]context.Context{499: gone, 503: late} {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+k.access)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != want || (w.Header().Get("Retry-After") != "") != (want == 503) {
			t.Errorf("%d, %v; want %d", w.Code, w.Header(), want)
		}
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "could not be loaded") {
		t.Errorf("the log is %q", got) // of the one that was late
	}
}
