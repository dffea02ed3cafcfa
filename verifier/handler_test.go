package verifier_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *verifier.Config) {
		c.Confirm = func(r *http.Request, claims tokens.Claims) error {
			if r.Header.Get("X-Proof") == "wrong" {
				return fmt.Errorf("%w: %s has another key", tokens.ErrInvalid, claims.SessionID)
			}
			return nil
		}
	})
	session, token := b.token(t, time.Hour)
	gone, goneToken := b.token(t, time.Hour)
	b.load(b.revocation(gone, time.Hour))
	handler := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, ok := verifier.FromContext(r.Context())
		if !ok || claims.SessionID != session {
			t.Errorf("claims %+v", claims)
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	for name, c := range map[string]struct {
		authorization []string
		proof         string
		status        int
		challenge     string
	}{
		"good":             {[]string{"Bearer " + token}, "", 418, ""},
		"another spelling": {[]string{"bearer  " + token}, "", 418, ""},
		"none":             {nil, "", 401, "Bearer"},
		"revoked":          {[]string{"Bearer " + goneToken}, "", 401, `Bearer error="invalid_token"`},
		"not a token":      {[]string{"Bearer x"}, "", 401, `Bearer error="invalid_token"`},
		"empty":            {[]string{"Bearer "}, "", 401, `Bearer error="invalid_token"`},
		"another scheme":   {[]string{"Basic " + token}, "", 401, `Bearer error="invalid_token"`},
		"two":              {[]string{"Bearer " + token, "Bearer " + token}, "", 401, `Bearer error="invalid_token"`},
		"two in one":       {[]string{"Bearer " + token + ", Bearer " + token}, "", 401, `Bearer error="invalid_token"`},
		"not confirmed":    {[]string{"Bearer " + token}, "wrong", 401, `Bearer error="invalid_token"`},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?access_token="+token, http.NoBody)
		for _, a := range c.authorization {
			r.Header.Add("Authorization", a)
		}
		r.Header.Set("X-Proof", c.proof)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != c.status || w.Header().Get("WWW-Authenticate") != c.challenge {
			t.Errorf("%s: %d, %q", name, w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}

	b.clocks.pass(2 * time.Second)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("cannot be told: %d, %v", w.Code, w.Header())
	}

	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	w = httptest.NewRecorder()
	handler.ServeHTTP(w, r.WithContext(ctx))
	if w.Code != 499 || w.Header().Get("Retry-After") != "" {
		t.Errorf("the client has hung up: %d, %v", w.Code, w.Header())
	}
}

// A handler's context has the claims, and everything else that the request's has.
func TestContextOfARequest(t *testing.T) {
	t.Parallel()
	type key struct{}
	b := setup(t)
	b.load()
	session, token := b.token(t, time.Hour)
	if claims, ok := verifier.FromContext(t.Context()); ok || claims != (tokens.Claims{}) {
		t.Errorf("a context without claims has %+v", claims)
	}
	called := false
	handler := b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		claims, ok := verifier.FromContext(r.Context())
		called = ok && claims.SessionID == session && r.Context().Value(key{}) == "another" && r.Context().Value("nothing") == nil
	}))
	r := httptest.NewRequestWithContext(context.WithValue(t.Context(), key{}, "another"), http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token)
	handler.ServeHTTP(httptest.NewRecorder(), r)
	if !called {
		t.Error("a value is missing, or another one")
	}
}
