package tokens_test

import (
	"crypto/rsa"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// RFC 7517 §4: a new key says what it is for.
func TestGeneratedKey(t *testing.T) {
	t.Parallel()
	for _, algorithm := range tokens.AlgorithmNames() {
		text, id, err := tokens.GenerateKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		var jwk jose.JSONWebKey
		if err := jwk.UnmarshalJSON([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if jwk.KeyID != id || jwk.Algorithm != algorithm || jwk.Use != "sig" {
			t.Errorf("kid %q, alg %q, use %q; want %q, %q", jwk.KeyID, jwk.Algorithm, jwk.Use, id, algorithm)
		}
		if key, isRSA := jwk.Key.(*rsa.PrivateKey); isRSA && key.N.BitLen() != 2048 {
			t.Errorf("%s has %d bits", algorithm, key.N.BitLen())
		}
	}
	for _, algorithm := range []string{"", "none", "ES384", "Ed25519"} {
		if key, id, err := tokens.GenerateKey(algorithm); err == nil || key != "" || id != "" {
			t.Errorf("a key for %q: %v", algorithm, err)
		}
	}
}

// Keys that do not make a valid set together are refused, and no part of a key is shown.
func TestKeysThatCannotBeJoined(t *testing.T) {
	t.Parallel()
	key, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	set := must(tokens.AppendKey("", key))(t)
	for name, join := range map[string]func(jwks, jwk tokens.Secret) (tokens.Secret, error){"first": tokens.PrependKey, "last": tokens.AppendKey} {
		for _, test := range []struct {
			jwks, jwk tokens.Secret
			says      string
		}{
			{"[]", key, "the key file is not a JWK set"},
			{set[1:], key, "the key file is not a JWK set"},
			{set, key[1:], "the key is not a JWK"},
			{set, "{}", "not a valid JWK"},
			{set, key, "is taken by an earlier key"},
		} {
			if got, err := join(test.jwks, test.jwk); err == nil || got != "" || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: %v, want one that says %s", name, err, test.says)
			}
		}
	}
}
