//go:build !race

package tokens_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// How often each step allocates. It does not depend on the machine. A change
// that needs more must have a reason, and changes the number; one that needs
// fewer lowers it.
//
// Most of a check's are those of golang-jwt's parser, which reads the header like any JSON.
// GO-2025-3553 is why refusals are counted too: there, a token of dots took sixteen bytes per
// dot.
//
//nolint:paralleltest // others would allocate meanwhile
func TestAllocations(t *testing.T) {
	k, forgetful := setup(t, "EdDSA"), config()
	forgetful.Remember = -1
	fresh := kitFor(t, forgetful, k.jwk)
	access, refresh := k.sign(t, claims(tokens.AccessToken)), k.sign(t, claims(tokens.RefreshToken))
	header, _, _ := strings.Cut(access, ".")
	ofASession := []byte(claims200)
	dots := strings.Repeat(".", tokens.MaxTokenBytes)
	for _, step := range []struct {
		name string
		most float64
		do   func() error
	}{
		{"sign an access token", 3, func() error { _, err := k.signer.Sign(claims(tokens.AccessToken)); return err }},
		{"sign a refresh token", 8, func() error { _, err := k.signer.Sign(claims(tokens.RefreshToken)); return err }},
		{"verify an access token", 32, func() error { _, err := fresh.verifier.Verify(access, tokens.AccessToken); return err }},
		{"verify one that is remembered", 0, func() error { _, err := k.verifier.Verify(access, tokens.AccessToken); return err }},
		{"verify a refresh token", 38, func() error { _, err := k.verifier.Verify(refresh, tokens.RefreshToken); return err }},
		{"check claims", 2, func() error { _, err := tokens.CustomClaims(ofASession); return err }},
		{"refuse a token of dots", 1, refuse(k.verifier, dots)},
		{"refuse one with our header", 1, refuse(k.verifier, header+dots[len(header):])},
		{"refuse one that is too long", 0, refuse(k.verifier, dots+dots)},
	} {
		got := testing.AllocsPerRun(200, func() {
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
		})
		t.Logf("to %s allocates %v times", step.name, got)
		if got > step.most {
			t.Errorf("to %s allocates %v times, at most %v are allowed", step.name, got, step.most)
		}
	}
}

func refuse(verifier *tokens.Verifier, token string) func() error {
	return func() error {
		if _, err := verifier.VerifyAny(token); !errors.Is(err, tokens.ErrInvalid) {
			return fmt.Errorf("a token of %d bytes is taken: %w", len(token), err)
		}
		return nil
	}
}
