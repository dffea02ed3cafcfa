package sessionhttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// RFC 9449 §7.1, §7.2: a bound token passes with its proof, once, and never
// as a bearer token; without a check of proofs it never passes.
func TestBoundToken(t *testing.T) {
	t.Parallel()
	const base = "https://api.example.com"
	proofs, err := dpop.New(dpop.Config{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	k := setup(t, sessionhttp.Config{Proofs: proofs})
	device := testkeys.NewDevice(t)
	_, pair, err := k.store.Create(t.Context(), sessionstore.CreateParams{KeyThumbprint: device.Thumbprint(t)})
	if err != nil {
		t.Fatal(err)
	}
	access := string(pair.AccessToken)
	proof := func(method string) string { return device.Proof(t, method, base+"/cart", access, "") }
	once := proof("POST")
	unchecked := sessionhttp.New[cart](k.store, sessionhttp.Config{})
	for _, test := range []struct {
		name          string
		manager       *sessionhttp.Manager[cart]
		authorization string
		proof         string
		status        int
		challenge     string
	}{
		{"good", k.manager, "DPoP " + access, once, 418, ""},
		{"again", k.manager, "DPoP " + access, once, 401, `DPoP error="invalid_dpop_proof"`},
		{"another method", k.manager, "DPoP " + access, proof("GET"), 401, `DPoP error="invalid_dpop_proof"`},
		{"no proof", k.manager, "DPoP " + access, "", 401, `DPoP error="invalid_dpop_proof"`},
		{"as bearer", k.manager, "Bearer " + access, proof("POST"), 401, `DPoP error="invalid_token"`},
		{"a bearer token as bound", k.manager, "DPoP " + k.access, proof("POST"), 401, `DPoP error="invalid_token"`},
		{"a bearer token", k.manager, "Bearer " + k.access, "", 418, ""},
		{"nobody checks", unchecked, "DPoP " + access, proof("POST"), 401, `DPoP error="invalid_token"`},
		{"nobody checks, as bearer", unchecked, "Bearer " + access, "", 401, `DPoP error="invalid_token"`},
		{"nobody checks, a bearer token", unchecked, "Bearer " + k.access, "", 418, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://inside/cart?a=b", http.NoBody)
		r.Header.Set("Authorization", test.authorization)
		if test.proof != "" {
			r.Header.Set("DPoP", test.proof)
		}
		w := httptest.NewRecorder()
		test.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })).ServeHTTP(w, r)
		if got := w.Header().Get("WWW-Authenticate"); w.Code != test.status || !strings.HasPrefix(got, test.challenge) || (got == "") != (test.challenge == "") {
			t.Errorf("%s: %d, %q", test.name, w.Code, got)
		}
	}
}
