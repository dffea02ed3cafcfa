package tokens_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// RFC 9701 §8.1, RFC 8725 §3.11: a signed introspection response is not a
// token, even if its audience is that of tokens. It has the claims of RFC 9701 §5, and no others.
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
		want := map[string]any{
			"iss": config().Issuer, "aud": config().Audience, "iat": float64(now.Unix()), "token_introspection": map[string]any{"active": true, "sub": "ann"},
		}
		if diff := cmp.Diff(want, part(t, string(jwt), 1)); diff != "" {
			t.Errorf("%s: %s", algorithm, diff)
		}
		if diff := cmp.Diff(map[string]any{"alg": algorithm, "kid": k.ring.Keys()[0].ID, "typ": "token-introspection+jwt"}, part(t, string(jwt), 0)); diff != "" {
			t.Errorf("%s: %s", algorithm, diff)
		}
		wantInvalid(t, k, algorithm, string(jwt))
	}
}
