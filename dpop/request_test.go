package dpop_test

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/dpop"
)

// A request without an access token, by the machine's own clock.
func TestCheckRequest(t *testing.T) {
	t.Parallel()
	c, err := dpop.New(dpop.Config{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	key := ed(t)
	proof := func(change func(spec)) string {
		s := good(t, key, jose.EdDSA)
		s.claims["iat"] = time.Now().Unix()
		delete(s.claims, "ath")
		change(s)
		return s.sign(t)
	}
	unchanged := func(spec) {}

	for name, test := range map[string]struct {
		headers []string
		want    string // the proof's key
		isGood  bool
	}{
		"no proof":                 {nil, "", true},
		"a good proof":             {[]string{proof(unchanged)}, thumbprint(t, key), true},
		"an empty header":          {[]string{""}, "", false},
		"two proofs":               {[]string{proof(unchanged), proof(unchanged)}, "", false},
		"a proof of another page":  {[]string{proof(func(s spec) { s.claims["htu"] = base + "/other" })}, "", false},
		"a proof from an hour ago": {[]string{proof(func(s spec) { s.claims["iat"] = time.Now().Add(-time.Hour).Unix() })}, "", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/cart", nil)
		r.Header["Dpop"] = test.headers
		got, err := c.CheckRequest(r)
		if (err == nil) != test.isGood || err != nil && !errors.Is(err, dpop.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if (got == nil) != (test.want == "") || got != nil && got.Thumbprint != test.want {
			t.Errorf("%s: %+v, want %q", name, got, test.want)
		}
	}
}
