package tokens_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// A token of a key that the ring does not have is refused only after the newest ring does not have it either.
func TestMissingKey(t *testing.T) {
	t.Parallel()
	cfg := tokens.Config{Issuer: "https://issuer.test", Audience: "api"}
	older, newer := testkeys.Ring(t), testkeys.Ring(t)
	signer, err := tokens.NewSigner(newer, cfg)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signed := map[tokens.Type]string{}
	for _, typ := range []tokens.Type{tokens.AccessToken, tokens.RefreshToken} {
		token, err := signer.Sign(tokens.Claims{Type: typ, IssuedAt: now, ExpiresAt: now.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		signed[typ] = string(token)
	}

	asked := 0
	var verifier *tokens.Verifier
	var answer func() error
	cfg.MissingKey = func() error { asked++; return answer() }
	for typ, token := range signed {
		if verifier, err = tokens.NewVerifier(older, cfg); err != nil {
			t.Fatal(err)
		}
		asked = 0
		answer = func() error { return nil }
		if _, err := verifier.Verify(token, typ); !errors.Is(err, tokens.ErrInvalid) || errors.Is(err, tokens.ErrKeysUnavailable) {
			t.Errorf("%s: there is no such key: %v", typ, err)
		}
		answer = func() error { return errors.New("away") }
		if _, err := verifier.Verify(token, typ); errors.Is(err, tokens.ErrInvalid) || !errors.Is(err, tokens.ErrKeysUnavailable) {
			t.Errorf("%s: nobody knows: %v", typ, err)
		}
		answer = func() error { //nolint:unparam // as MissingKey is
			verifier.SetRing(newer)
			return nil
		}
		if _, err := verifier.Verify(token, typ); err != nil {
			t.Errorf("%s: the key has arrived: %v", typ, err)
		}
		if _, err := verifier.Verify(token, typ); err != nil || asked != 3 {
			t.Errorf("%s: asked %d times, want 3: %v", typ, asked, err)
		}
	}

	// A token that no key of the service can have signed causes no fetch.
	if verifier, err = tokens.NewVerifier(older, cfg); err != nil {
		t.Fatal(err)
	}
	asked = 0
	header, rest, _ := strings.Cut(signed[tokens.AccessToken], ".")
	if _, err := verifier.Verify("#."+rest, tokens.AccessToken); !errors.Is(err, tokens.ErrInvalid) || asked != 0 {
		t.Errorf("no base64: asked %d times, %v", asked, err)
	}
	for _, other := range []string{
		"", "{}", `{"alg":"EdDSA","typ":"at+jwt"}`, `{"alg":"EdDSA","kid":"","typ":"at+jwt"}`, `{"alg":"none","kid":"x","typ":"at+jwt"}`,
		`{"alg":"HS256","kid":"x","typ":"JWT"}`, `{"typ":"at+jwt","alg":"EdDSA","kid":"x"}`, `{"alg":"EdDSA","kid":"x","typ":"at+jwt","jku":"x"}`,
	} {
		token := base64.RawURLEncoding.EncodeToString([]byte(other)) + "." + rest
		if _, err := verifier.Verify(token, tokens.AccessToken); !errors.Is(err, tokens.ErrInvalid) || asked != 0 {
			t.Errorf("%s: asked %d times, %v", other, asked, err)
		}
	}

	// Neither does what is not a compact JWS, even with a header that another key writes.
	payload, signature, _ := strings.Cut(rest, ".")
	for name, token := range map[string]string{
		"no dot": header, "nothing": "", "one dot": header + ".", "two parts": header + "." + payload, "four parts": header + "." + payload + "." + signature + ".",
		"a line break": signed[tokens.AccessToken] + "\n",
	} {
		if _, err := verifier.Verify(token, tokens.AccessToken); !errors.Is(err, tokens.ErrInvalid) || asked != 0 {
			t.Errorf("%s: asked %d times, %v", name, asked, err)
		}
	}
	// Nor a signature that a key of the ring did not make.
	if verifier, err = tokens.NewVerifier(newer, cfg); err != nil {
		t.Fatal(err)
	}
	for typ, token := range signed {
		if _, err := verifier.Verify(token[:len(token)-4]+"AAAA", typ); !errors.Is(err, tokens.ErrInvalid) || asked != 0 {
			t.Errorf("%s, forged: asked %d times, %v", typ, asked, err)
		}
	}
}
