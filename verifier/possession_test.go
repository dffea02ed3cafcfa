package verifier_test

import (
	"errors"
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

// RFC 9449 §7.1, §7.2: a bound token passes with its proof, once, and never
// as a bearer token; without a check of proofs it never passes.
func TestBoundToken(t *testing.T) {
	t.Parallel()
	const base = "https://api.example.com"
	device := testkeys.NewDevice(t)
	for _, checks := range []bool{true, false} {
		var refusal error
		b := setup(t, func(c *verifier.Config) {
			if checks {
				var err error
				if c.Proofs, err = dpop.New(dpop.Config{BaseURL: base, Remember: 1}); err != nil {
					t.Fatal(err)
				}
			}
			c.OnError = func(w http.ResponseWriter, r *http.Request, err error) {
				refusal = err
				verifier.Error(w, r, err)
			}
		})
		b.load()
		now := b.clocks.wall()
		bound, err := b.signer.Sign(tokens.Claims{
			Type: tokens.AccessToken, SessionID: uuid.New(), TokenID: uuid.New(), IssuedAt: now, ExpiresAt: now.Add(time.Hour),
			KeyThumbprint: device.Thumbprint(t),
		})
		if err != nil {
			t.Fatal(err)
		}
		access := string(bound)
		_, bearer := b.token(t, time.Hour)
		proof := func(method string) string { return device.Proof(t, method, base+"/cart", access, "") }
		once := proof("GET")
		handler := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
		for _, test := range []struct {
			name, authorization, proof string
			status                     int // where proofs are checked
			challenge                  string
		}{
			{"good", "DPoP " + access, once, 418, ""},
			{"again", "DPoP " + access, once, 401, `DPoP error="invalid_dpop_proof"`},
			{"another method", "DPoP " + access, proof("POST"), 401, `DPoP error="invalid_dpop_proof"`},
			{"no proof", "DPoP " + access, "", 401, `DPoP error="invalid_dpop_proof"`},
			{"as bearer", "Bearer " + access, proof("GET"), 401, `DPoP error="invalid_token"`},
			{"a bearer token as bound", "DPoP " + bearer, proof("GET"), 401, `DPoP error="invalid_token"`},
			{"a bearer token", "Bearer " + bearer, "", 418, ""},
			{"more than can be remembered", "DPoP " + access, proof("GET"), 503, ""},
		} {
			if !checks && (strings.HasPrefix(test.authorization, "DPoP ") || strings.HasSuffix(test.authorization, access)) {
				test.status, test.challenge = 401, `DPoP error="invalid_token"`
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://inside/cart?a=b", http.NoBody)
			r.Header.Set("Authorization", test.authorization)
			if test.proof != "" {
				r.Header.Set("DPoP", test.proof)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if got := w.Header().Get("WWW-Authenticate"); w.Code != test.status || !strings.HasPrefix(got, test.challenge) || (got == "") != (test.challenge == "") {
				t.Errorf("checks %v, %s: %d, %q", checks, test.name, w.Code, got)
			}
			// Handlers of errors know these two, and no other.
			if w.Code == 401 && !errors.Is(refusal, tokens.ErrInvalid) || w.Code == 503 && !errors.Is(refusal, verifier.ErrUnavailable) {
				t.Errorf("checks %v, %s: %v", checks, test.name, refusal)
			}
		}
	}
}

// RFC 9449 §8.2: a nonce comes with an answer to a proof, for the next one.
func TestNoncesComeWithProofs(t *testing.T) {
	t.Parallel()
	const base = "https://api.example.com"
	nonces, err := dpop.NewNonces(func() [][]byte { return [][]byte{make([]byte, 32)} })
	if err != nil {
		t.Fatal(err)
	}
	b := setup(t, func(c *verifier.Config) {
		if c.Proofs, err = dpop.New(dpop.Config{BaseURL: base, Nonces: nonces}); err != nil {
			t.Fatal(err)
		}
	})
	b.load()
	_, token := b.token(t, time.Hour)
	handler := b.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for scheme, want := range map[string]bool{"DPoP": true, "Bearer": false} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Header.Set("Authorization", scheme+" "+token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if nonce := w.Header().Get(dpop.NonceHeader); (nonce != "") != want {
			t.Errorf("%s: the nonce is %q", scheme, nonce)
		}
	}
}
