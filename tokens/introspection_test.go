package tokens_test

import (
	"errors"
	"testing"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// RFC 9701 §8.1, RFC 8725 §3.11: a signed introspection response is not a
// token, even if its audience is that of tokens.
func TestSignedIntrospectionIsNoToken(t *testing.T) {
	t.Parallel()
	for _, algorithm := range tokens.AlgorithmNames() {
		k := setup(t, algorithm)
		answer := []byte(`{"active":true,"sub":"ann"}`)
		jwt, err := k.signer.SignIntrospection(config().Audience, answer)
		if algorithm == "HS256" {
			if !errors.Is(err, tokens.ErrNotPublic) {
				t.Errorf("HS256: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if claims := part(t, string(jwt), 1); claims["iss"] != config().Issuer || claims["iat"] != float64(now.Unix()) || claims["exp"] != nil || claims["sub"] != nil {
			t.Errorf("%s: %v", algorithm, claims)
		}
		wantInvalid(t, k, algorithm, string(jwt))
	}
}
