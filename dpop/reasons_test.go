package dpop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/dpop"
)

// An error names the check that the proof failed. So no check relies on a later one that would have
// refused the proof too.
func TestReasons(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const notParsed = "not a compact JWS of an algorithm that is supported, with a public key"
	for name, test := range map[string]struct {
		algorithm jose.SignatureAlgorithm
		change    func(*spec)
		reason    string
	}{
		"HS256":                  {jose.EdDSA, func(s *spec) { s.header["alg"] = "HS256" }, notParsed},
		"typ of an access token": {jose.EdDSA, func(s *spec) { s.header["typ"] = "at+jwt" }, "typ"},
		"no key":                 {jose.EdDSA, func(s *spec) { delete(s.header, "jwk") }, "jwk"},
		"a key on P-384": {jose.ES256, func(s *spec) {
			s.key, s.header["jwk"] = p384, jose.JSONWebKey{Key: &p384.PublicKey}
		}, "jwk"},
		"signed by another key":  {jose.EdDSA, func(s *spec) { s.key = ed(t) }, "signature"},
		"crit":                   {"Ed25519", func(s *spec) { s.header["crit"], s.header["exp"] = []string{"exp"}, 1 }, "signature"},
		"b64":                    {"Ed25519", func(s *spec) { s.header["b64"] = true }, "signature"},
		"a jti that is a number": {jose.EdDSA, func(s *spec) { s.claims["jti"] = 1 }, "claims"},
		"no jti":                 {jose.EdDSA, func(s *spec) { delete(s.claims, "jti") }, "jti"},
		"another method":         {jose.EdDSA, func(s *spec) { s.claims["htm"] = "POST" }, "htm"},
		"another URL":            {jose.EdDSA, func(s *spec) { s.claims["htu"] = base + "/carts" }, "htu"},
		"no iat":                 {jose.EdDSA, func(s *spec) { delete(s.claims, "iat") }, "iat"},
		"no ath":                 {jose.EdDSA, func(s *spec) { delete(s.claims, "ath") }, "ath"},
	} {
		s := good(t, ed(t), test.algorithm)
		test.change(&s)
		wantReason(t, name, s.sign(t), test.reason)
	}
	proof := good(t, ed(t), jose.EdDSA).sign(t)
	for text, reason := range map[string]string{
		"": "length", proof + strings.Repeat("A", dpop.MaxProofBytes): "length", proof + "\n": "not a compact JWS", "x": notParsed, proof + ".x": notParsed,
	} {
		wantReason(t, text[:min(len(text), 10)], text, reason)
	}
}

func wantReason(t *testing.T, name, proof, reason string) {
	t.Helper()
	got, err := checker(t).Check(proof, want)
	if !errors.Is(err, dpop.ErrInvalid) || !strings.HasSuffix(err.Error(), ": "+reason) || got != (dpop.Proof{}) {
		t.Errorf("%s: %+v, %v, want %q", name, got, err, reason)
	}
}

// RFC 9449 §7.1: anyone who sees a proof cannot use it with another token.
func TestConfirmRequiresTheProofOfThisToken(t *testing.T) {
	t.Parallel()
	key := ed(t)
	for name, test := range map[string]struct {
		token  string
		proofs int
		reason string
	}{
		"this token":    {token, 1, ""},
		"another token": {"another" + token, 1, "ath"},
		"two proofs":    {token, 2, "not exactly one DPoP header"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/cart", http.NoBody)
		for range test.proofs {
			r.Header.Add(dpop.Header, good(t, key, jose.EdDSA).sign(t))
		}
		err := checker(t).Confirm(r, dpop.Scheme, test.token, thumbprint(t, key))
		if test.reason == "" && err != nil || test.reason != "" && (!errors.Is(err, dpop.ErrInvalid) || !strings.HasSuffix(err.Error(), ": "+test.reason)) {
			t.Errorf("%s: %v, want %q", name, err, test.reason)
		}
	}
}
