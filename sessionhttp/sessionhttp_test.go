package sessionhttp_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
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
		if session.Info.Subject != "ann" || session.Claims.SessionID != k.session.ID || session.Data.Items[0] != "tea" {
			t.Errorf("session %+v", session)
		}
		session.Data.Items = append(session.Data.Items, "milk")
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
	w := k.serve(t, func(_ http.ResponseWriter, r *http.Request) { k.manager.From(r.Context()).Data.Items = nil })
	if want := `{"more": {"n": 12345678901234567890}}`; w.Code != http.StatusOK || k.stored(t) != want {
		t.Errorf("%d, %s", w.Code, k.stored(t))
	}
}

// Unchanged data costs nothing: the row is not written.
func TestUnchangedDataIsNotWritten(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	k.serve(t, func(w http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		session.Data.Items = append([]string(nil), session.Data.Items...)
		_, _ = io.WriteString(w, "ok")
	})
	session, err := k.store.Load(t.Context(), k.session.ID)
	if err != nil || !session.UpdatedAt.Equal(k.session.UpdatedAt) || string(session.Data) != unchanged {
		t.Errorf("%+v, %v", session, err)
	}
}

// A success reaches the client only if the change was stored.
func TestConflictReplacesTheResponse(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	w := k.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := k.store.Update(r.Context(), k.session.ID, k.session.Checksum, []byte(`{"items":["coffee"]}`)); err != nil {
			t.Error(err)
		}
		k.manager.From(r.Context()).Data.Items = []string{"milk"}
		w.Header().Set("Content-Length", "7")
		w.Header().Set("X-Request-Id", "kept")
		w.WriteHeader(http.StatusCreated)
		if _, err := io.WriteString(w, "created"); err == nil {
			t.Error("the handler may go on writing")
		}
	})
	if w.Code != http.StatusConflict || strings.Contains(w.Body.String(), "created") || w.Header().Get("Content-Length") == "7" ||
		w.Header().Get("X-Request-Id") != "kept" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	if got := k.stored(t); got != `{"items": ["coffee"]}` {
		t.Errorf("stored %s", got)
	}
}

func TestHandlerMayResolveAConflictItself(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	w := k.serve(t, func(w http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		if _, err := k.store.Update(r.Context(), k.session.ID, k.session.Checksum, []byte(`{"items":["coffee"]}`)); err != nil {
			t.Error(err)
		}
		session.Data.Items = []string{"milk"}
		if err := session.Save(r.Context()); !errors.Is(err, sessionstore.ErrConflict) {
			t.Errorf("save: %v", err)
		}
		session.Data = cart{Items: []string{"tea"}, More: session.Data.More} // back to what was read
		w.WriteHeader(http.StatusAccepted)
	})
	if w.Code != http.StatusAccepted {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// Streaming works; what is changed meanwhile is stored, or at least logged.
func TestChangesWhileStreaming(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	k := setup(t, sessionhttp.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	w := k.serve(t, func(w http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		session.Data.Items = []string{"first"}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		if stored, err := k.store.Load(r.Context(), k.session.ID); err != nil || !strings.Contains(string(stored.Data), "first") {
			t.Errorf("the response has begun and %s is stored (%v)", stored.Data, err)
		}
		session.Data.Items = []string{"second"}
	})
	if !w.Flushed || !strings.Contains(k.stored(t), "second") {
		t.Errorf("flushed %v, stored %s", w.Flushed, k.stored(t))
	}
	k.serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		k.manager.From(r.Context()).Data.Items = []string{"third"}
		if err := k.store.Invalidate(r.Context(), k.session.ID); err != nil {
			t.Error(err)
		}
	})
	if !strings.Contains(log.String(), "was not stored") || !strings.Contains(log.String(), k.session.ID.String()) {
		t.Errorf("the log is %q", log.String())
	}
}

func TestPanicStoresNothing(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	func() {
		defer func() { _ = recover() }()
		k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
			k.manager.From(r.Context()).Data.Items = nil
			panic("halfway")
		})
	}()
	if got := k.stored(t); got != unchanged {
		t.Errorf("stored %s", got)
	}
}

func TestEnd(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	w := k.serve(t, func(w http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		session.Data.Items = nil
		if err := session.End(r.Context()); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if w.Code != http.StatusNoContent || k.stored(t) != unchanged {
		t.Errorf("%d, %s", w.Code, k.stored(t))
	}
	if w := k.serve(t, nil); w.Code != http.StatusUnauthorized {
		t.Errorf("after the end: %d", w.Code)
	}
}

// RFC 6750 §3: what is answered to a request that brings no good token.
func TestRefusals(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
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
		// A token in the query string or a form is not looked at (RFC 9700 §4.3.2).
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

// A database that is down is 503, never 401.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	k.pool.Close()
	w := k.serve(t, nil)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestDataOfAnotherShape(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	if _, err := k.store.Update(t.Context(), k.session.ID, k.session.Checksum, []byte(`{"items":"no list"}`)); err != nil {
		t.Fatal(err)
	}
	if w := k.serve(t, nil); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "items") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// Two managers in one chain have a session each, of the same type or not.
func TestTwoManagers(t *testing.T) {
	t.Parallel()
	outer, inner := setup(t, sessionhttp.Config{}), setup(t, sessionhttp.Config{})
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		user, shop := outer.manager.From(r.Context()), inner.manager.From(r.Context())
		if user.Info.ID != outer.session.ID || shop.Info.ID != inner.session.ID {
			t.Fatalf("sessions %v and %v, want %v and %v", user.Info.ID, shop.Info.ID, outer.session.ID, inner.session.ID)
		}
		user.Data.Items, shop.Data.Items = []string{"user"}, []string{"shop"}
		if err := shop.Save(r.Context()); err != nil {
			t.Error(err)
		}
		if err := shop.End(r.Context()); err != nil {
			t.Error(err)
		}
	})
	chain := outer.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+inner.access) // as a second transport would
		inner.manager.Handler(handler).ServeHTTP(w, r)
	}))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	r.Header.Set("Authorization", "Bearer "+outer.access)
	chain.ServeHTTP(httptest.NewRecorder(), r)

	if got := outer.stored(t); !strings.Contains(got, `"user"`) {
		t.Errorf("the outer one stored %s", got)
	}
	if got := inner.stored(t); !strings.Contains(got, `"shop"`) {
		t.Errorf("the inner one stored %s", got)
	}
	for name, k := range map[string]kit{"outer": outer, "inner": inner} {
		if _, _, err := k.store.Get(t.Context(), k.access); errors.Is(err, sessionstore.ErrEnded) != (name == "inner") {
			t.Errorf("the %s one's session: %v", name, err)
		}
	}
}

// A client that hangs up is no outage; a time limit of ours is.
func TestClientHangsUp(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
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
}
