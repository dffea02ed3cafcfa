package tokens_test

import (
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// Another implementation of RFC 7515 verifies what we sign, with the published key.
func TestAnotherImplementationVerifies(t *testing.T) {
	t.Parallel()
	for _, algorithm := range tokens.AlgorithmNames() {
		k := setup(t, algorithm)
		token := k.sign(t, claims(tokens.AccessToken))
		signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
		if err != nil {
			t.Fatal(err)
		}
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON([]byte(k.jwk)); err != nil {
			t.Fatal(err)
		}
		verifyWith := key.Key
		if algorithm != "HS256" {
			verifyWith = key.Public().Key
		}
		if _, err := signed.Verify(verifyWith); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}
