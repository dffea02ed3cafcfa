package tokens_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// RFC 9449 §6.1: a bound token's claims name its key, and an unbound token's
// name none.
func TestConfirmationClaim(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	for _, typ := range []tokens.Type{tokens.AccessToken, tokens.RefreshToken} {
		for _, thumbprint := range []string{"", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"} {
			c := claims(typ)
			c.KeyThumbprint = thumbprint
			for range 2 { // the second time it is remembered
				got, err := k.verifier.Verify(k.sign(t, c), typ)
				if err != nil || got.KeyThumbprint != thumbprint {
					t.Errorf("%s: %q, %v", typ, got.KeyThumbprint, err)
				}
			}
		}
		c := claims(typ)
		c.KeyThumbprint = "not a thumbprint"
		if _, err := k.verifier.Verify(k.sign(t, c), typ); err == nil {
			t.Errorf("%s: a token with a broken cnf was accepted", typ)
		}
	}
}

func TestIsThumbprint(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I": true, "": false, strings.Repeat("A", 42): false, strings.Repeat("A", 44): false,
		strings.Repeat("A", 42) + "B": false, strings.Repeat("+", 43): false, strings.Repeat("A", 42) + "\n": false,
	} {
		if tokens.IsThumbprint(s) != want {
			t.Errorf("%q", s)
		}
	}
}

// Replicas with the same keys have the same secrets, whatever the keys' order;
// the signing key's comes first.
func TestDerivedSecrets(t *testing.T) {
	t.Parallel()
	var jwks [2]string
	for i, algorithm := range []string{"EdDSA", "HS256"} {
		jwk, _, err := tokens.GenerateKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		jwks[i] = string(jwk)
	}
	derive := func(purpose string, keys ...string) [][]byte {
		ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + strings.Join(keys, ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		secrets, err := ring.DerivedSecrets(purpose)
		if err != nil {
			t.Fatal(err)
		}
		return secrets
	}
	a, b, other := derive("x", jwks[0], jwks[1]), derive("x", jwks[1], jwks[0]), derive("y", jwks[0])
	if len(a) != 2 || len(b) != 2 || len(a[0]) != 32 || !bytes.Equal(a[0], b[1]) || !bytes.Equal(a[1], b[0]) || bytes.Equal(a[0], a[1]) {
		t.Error("the secrets differ between replicas, or not between keys")
	}
	// Releases that run side by side derive the same.
	key := must(base64.RawURLEncoding.DecodeString(strings.Split(strings.Split(jwks[1], `"k":"`)[1], `"`)[0]))(t)
	if want := must(hkdf.Key(sha256.New, key, nil, "latchkey derived x", 32))(t); !bytes.Equal(a[1], want) {
		t.Error("the secret is not HKDF-SHA256 of the key for the purpose")
	}
	// A key without its private part has no secret, wherever it is.
	public := func() string {
		return strings.TrimSuffix(strings.TrimPrefix(string(setup(t, "ES256").ring.PublicJWKS()), `{"keys":[`), `]}`)
	}
	if diff := cmp.Diff(a, derive("x", public(), jwks[0], public(), jwks[1])); diff != "" {
		t.Errorf("next to public keys: %s", diff)
	}
	if bytes.Equal(a[0], other[0]) {
		t.Error("two purposes have one secret")
	}
}
