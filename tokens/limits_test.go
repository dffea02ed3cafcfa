package tokens_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// Each limit is the last value that passes.
func TestLimitsAreExact(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	longest := strings.Repeat("x", tokens.MaxTokenBytes)
	compas := compasVerifier(t)
	for name, verify := range map[string]func(string) error{
		"access":  func(token string) error { _, err := k.verifier.Verify(token, tokens.AccessToken); return err },
		"refresh": func(token string) error { _, err := k.verifier.Verify(token, tokens.RefreshToken); return err },
		"Compas":  func(token string) error { _, err := compas.VerifyAny(token); return err },
	} {
		if err := verify(longest); errors.Is(err, tokens.ErrTooLarge) || !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%s, as long as it may be: %v", name, err)
		}
		if err := verify(longest + "x"); !errors.Is(err, tokens.ErrTooLarge) {
			t.Errorf("%s, too long: %v", name, err)
		}
	}

	hmac := setup(t, "HS256")
	long, signed := claims(tokens.AccessToken), 0
	for n := tokens.MaxTokenBytes / 2; ; n++ {
		long.Subject = strings.Repeat("x", n)
		token, err := hmac.signer.Sign(long)
		if err != nil {
			break
		}
		signed = len(token)
	}
	if signed != tokens.MaxTokenBytes {
		t.Errorf("signed up to %d bytes", signed)
	}

	for leeway, fine := range map[time.Duration]bool{time.Minute: true, time.Minute + 1: false, 1: true, -1: false} {
		cfg := config()
		cfg.Leeway = leeway
		if _, err := tokens.NewVerifier(k.ring, cfg); (err == nil) != fine {
			t.Errorf("a leeway of %v: %v", leeway, err)
		}
	}

	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	for length, fine := range map[int]bool{1: true, 128: true, 129: false} {
		named := fmt.Sprintf(`{"kid":%q,%s`, strings.Repeat("k", length), strings.TrimPrefix(withoutID(t, string(jwk)), "{"))
		if _, err := tokens.ParseKeyRing([]byte(`{"keys":[` + named + `]}`)); (err == nil) != fine {
			t.Errorf("a kid of %d bytes: %v", length, err)
		}
	}
}

// withoutID takes the kid out of a key.
func withoutID(t *testing.T, jwk string) string {
	t.Helper()
	before, after, found := strings.Cut(jwk, `"kid":"`)
	if !found {
		t.Fatalf("no kid in a key of %d bytes", len(jwk))
	}
	_, after, _ = strings.Cut(after, `"`)
	if first, found := strings.CutSuffix(before, ","); found {
		return first + after
	}
	return before + strings.TrimPrefix(after, ",")
}

// Errors count keys as people do.
func TestErrorsNumberTheKeys(t *testing.T) {
	t.Parallel()
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `,{}]}`)); err == nil || !strings.Contains(err.Error(), "key 2 of the JWK set") {
		t.Errorf("the second key of a set: %v", err)
	}
	good := make([]byte, tokens.SealingKeyBytes)
	if _, err := tokens.NewSealer(good, good[1:]); err == nil || !strings.Contains(err.Error(), "sealing key 2 has 31 bytes") {
		t.Errorf("the second sealing key: %v", err)
	}
}

// The expiry of a token of Compas may be any time that can be expressed.
func TestExpiryOfCompas(t *testing.T) {
	t.Parallel()
	v := compasVerifier(t)
	for exp, want := range map[int64]error{0: tokens.ErrExpired, 253_402_300_799: nil, -1: tokens.ErrInvalid, 253_402_300_800: tokens.ErrInvalid} {
		_, err := v.VerifyAny(signCompas(compasHeader, fmt.Sprintf(`{"exp":%d,"compasSessionAccessToken":%q}`, exp, compasRow), compasKey))
		if !errors.Is(err, want) || errors.Is(err, tokens.ErrExpired) != errors.Is(want, tokens.ErrExpired) {
			t.Errorf("exp %d: %v, want %v", exp, err, want)
		}
	}
}

// A fingerprint distinguishes keys with the same id and is the same at each start; only keys that can sign have
// one.
func TestFingerprints(t *testing.T) {
	t.Parallel()
	of := func(jwks string) map[string]string {
		t.Helper()
		ring, err := tokens.ParseKeyRing([]byte(jwks))
		if err != nil {
			t.Fatal(err)
		}
		fingerprints, err := ring.Fingerprints()
		if err != nil {
			t.Fatal(err)
		}
		return fingerprints
	}
	var made []string
	for range 2 {
		jwk, _, err := tokens.GenerateKey("EdDSA")
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, fmt.Sprintf(`{"keys":[{"kid":"same",%s]}`, strings.TrimPrefix(withoutID(t, string(jwk)), "{")))
	}
	first, again, second := of(made[0])["same"], of(made[0])["same"], of(made[1])["same"]
	if len(first) != 11 || first != again || first == second {
		t.Errorf("%q, again %q, of another key %q", first, again, second)
	}
	ring, err := tokens.ParseKeyRing([]byte(made[0]))
	if err != nil {
		t.Fatal(err)
	}
	public := string(ring.PublicJWKS())
	if got := of(public); len(got) != 0 {
		t.Errorf("keys that cannot sign: %v", got)
	}
	_, key, _ := strings.Cut(strings.Replace(made[1], `"same"`, `"other"`, 1), "[")
	if got := of(strings.TrimSuffix(public, "]}") + "," + key); len(got) != 1 || got["other"] != second {
		t.Errorf("a key that can sign, after one that cannot: %v", got)
	}
	one, err := tokens.Secret("a secret of some length").Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	other, err := tokens.Secret("another one of some length").Fingerprint()
	if err != nil || one == other || len(one) != 11 {
		t.Errorf("secrets: %q and %q, %v", one, other, err)
	}
}
