//go:build !race

package tokens_test

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// How often each step allocates. It does not depend on the machine. Who needs
// more has a reason, and changes the number; who needs fewer lowers it.
//
//nolint:paralleltest // others would allocate meanwhile
func TestAllocations(t *testing.T) {
	k, forgetful := setup(t, "EdDSA"), config()
	forgetful.Remember = -1
	fresh := kitFor(t, forgetful, k.jwk)
	access, refresh := k.sign(t, claims(tokens.AccessToken)), k.sign(t, claims(tokens.RefreshToken))
	for _, step := range []struct {
		name string
		most float64
		do   func() error
	}{
		{"sign an access token", 3, func() error { _, err := k.signer.Sign(claims(tokens.AccessToken)); return err }},
		{"sign a refresh token", 8, func() error { _, err := k.signer.Sign(claims(tokens.RefreshToken)); return err }},
		{"verify an access token", 8, func() error { _, err := fresh.verifier.Verify(access, tokens.AccessToken); return err }},
		{"verify one that is remembered", 1, func() error { _, err := k.verifier.Verify(access, tokens.AccessToken); return err }},
		{"verify a refresh token", 11, func() error { _, err := k.verifier.Verify(refresh, tokens.RefreshToken); return err }},
	} {
		got := testing.AllocsPerRun(200, func() {
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
		})
		if got > step.most {
			t.Errorf("to %s allocates %v times, at most %v are allowed", step.name, got, step.most)
		}
	}
}
