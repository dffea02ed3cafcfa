package tokens_test

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// An access token names the era in which its session began, if that is not the first; a refresh token does not.
func TestEraClaim(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	for _, typ := range []tokens.Type{tokens.AccessToken, tokens.RefreshToken} {
		for _, era := range []int64{0, 1, 1 << 40} {
			c, want := claims(typ), era
			if typ == tokens.RefreshToken {
				want = 0
			} else {
				c.Custom = `{"role":"editor"}`
			}
			c.Era = era
			token := k.sign(t, c)
			for range 2 { // the second time it is remembered
				got, err := k.verifier.Verify(token, typ)
				if err != nil || got.Era != want || got.Custom != c.Custom {
					t.Errorf("%s: era %d with %s, want %d: %v", typ, got.Era, got.Custom, want, err)
				}
			}
			if _, named := part(t, token, 1)["latchkey_era"]; named != (want != 0) {
				t.Errorf("%s of era %d: named: %v", typ, era, named)
			}
		}
	}
}
