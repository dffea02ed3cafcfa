package verifier_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// RFC 9470 §3: a valid token whose user authenticated too long ago, or in another way,
// gets a challenge that says what would do, in the token's own scheme.
func TestRequireAuthentication(t *testing.T) {
	t.Parallel()
	const base = "https://api.example.com"
	b := setup(t, func(c *verifier.Config) {
		var err error
		if c.Proofs, err = dpop.New(dpop.Config{BaseURL: base}); err != nil {
			t.Fatal(err)
		}
	})
	b.load()
	device := testkeys.NewDevice(t)
	now := b.clocks.wall()
	sign := func(authentication *tokens.Authentication, thumbprint string) string {
		token, err := b.signer.Sign(tokens.Claims{
			Type: tokens.AccessToken, SessionID: uuid.New(), TokenID: uuid.New(), IssuedAt: now, ExpiresAt: now.Add(time.Hour), KeyThumbprint: thumbprint,
			Context: tokens.Context{Authentication: authentication},
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(token)
	}
	served := false
	require := func(required tokens.Requirement) http.Handler {
		wrap, err := b.RequireAuthentication(required)
		if err != nil {
			t.Fatal(err)
		}
		return b.Handler(wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			served = true
			w.WriteHeader(http.StatusTeapot)
		})))
	}
	recent := require(tokens.Requirement{MaxAge: 5 * time.Minute})
	gold := require(tokens.Requirement{ACRValues: []string{"gold", "platinum"}, MaxAge: time.Hour})
	for name, c := range map[string]struct {
		handler   http.Handler
		token     string
		bound     bool
		status    int
		challenge string
	}{
		"recent":                  {recent, sign(&tokens.Authentication{AuthTime: now.Add(-5 * time.Minute)}, ""), false, 418, ""},
		"too old":                 {recent, sign(&tokens.Authentication{AuthTime: now.Add(-301 * time.Second)}, ""), false, 401, `Bearer error="insufficient_user_authentication", max_age="300"`},
		"unknown":                 {recent, sign(nil, ""), false, 401, `Bearer error="insufficient_user_authentication", max_age="300"`},
		"in the class":            {gold, sign(&tokens.Authentication{AuthTime: now, ACR: "platinum"}, ""), false, 418, ""},
		"in another class":        {gold, sign(&tokens.Authentication{AuthTime: now, ACR: "silver"}, ""), false, 401, `Bearer error="insufficient_user_authentication", acr_values="gold platinum", max_age="3600"`},
		"bound to a key":          {recent, sign(&tokens.Authentication{AuthTime: now}, device.Thumbprint(t)), true, 418, ""},
		"bound to a key, unknown": {recent, sign(nil, device.Thumbprint(t)), true, 401, `DPoP error="insufficient_user_authentication", algs="`},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://inside/pay", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+c.token)
		if c.bound {
			r.Header.Set("Authorization", "DPoP "+c.token)
			r.Header.Set("DPoP", device.Proof(t, http.MethodGet, base+"/pay", c.token, ""))
		}
		w := httptest.NewRecorder()
		served = false
		c.handler.ServeHTTP(w, r)
		if served != (c.status == http.StatusTeapot) {
			t.Errorf("%s: it is served: %v", name, served)
		}
		got := w.Header().Get("WWW-Authenticate")
		if w.Code != c.status || !strings.HasPrefix(got, c.challenge) || !c.bound && got != c.challenge || c.bound && c.status == 401 && !strings.HasSuffix(got, `, max_age="300"`) {
			t.Errorf("%s: %d, %q", name, w.Code, got)
		}
	}
	if _, err := b.RequireAuthentication(tokens.Requirement{ACRValues: []string{`a"`}}); err == nil {
		t.Error("a requirement is taken that no challenge states")
	}
}

// The database's clock decides, not that of this machine; and a handler with no other
// wrapper serves no request.
func TestRequiredAgeIsOfTheDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load()
	database := b.clocks.wall()
	b.clocks.jumpWall(time.Hour)
	b.set.Apply(verifier.Batch{Proof: b.set.Now(), Now: database, Cursor: "proven"})
	wrap, err := b.RequireAuthentication(tokens.Requirement{MaxAge: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	handler := wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	token, err := b.signer.Sign(tokens.Claims{
		Type: tokens.AccessToken, SessionID: uuid.New(), TokenID: uuid.New(), IssuedAt: database, ExpiresAt: database.Add(2 * time.Hour),
		Context: tokens.Context{Authentication: &tokens.Authentication{AuthTime: database}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		handler http.Handler
		status  int
	}{"checked": {b.Handler(handler), 418}, "not checked": {handler, 401}} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+string(token))
		w := httptest.NewRecorder()
		c.handler.ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("%s: %d, %q", name, w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}
}
