package tokens_test

import (
	"errors"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// A token that was verified before is refused at the same instant as one that
// is presented for the first time.
func TestRememberedTokenIsRefusedWithAFreshOne(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	cfg := config()
	cfg.Now = func() time.Time { return now.Add(time.Duration(clock.Load())) }
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	k := kitFor(t, cfg, string(jwk))
	cfg.Remember = -1
	forgetful := kitFor(t, cfg, string(jwk))

	c := claims(tokens.AccessToken)
	c.IssuedAt, c.ExpiresAt = now, now.Add(10*time.Second)
	token := k.sign(t, c)
	body := part(t, token, 1)
	body["nbf"] = now.Unix()
	for token, want := range map[string]map[error]bool{
		token:                                {nil: true, tokens.ErrExpired: true},
		k.resign(t, part(t, token, 0), body): {nil: true, tokens.ErrExpired: true, tokens.ErrNotValidYet: true},
	} {
		clock.Store(0)
		if _, err := k.verifier.Verify(token, tokens.AccessToken); err != nil {
			t.Fatal(err)
		}
		got := map[error]bool{}
		for at := -10 * time.Second; at < 20*time.Second; at += time.Second / 4 {
			clock.Store(int64(at)) // the clock may jump: it begins before the token was issued
			_, remembered := k.verifier.Verify(token, tokens.AccessToken)
			_, fresh := forgetful.verifier.Verify(token, tokens.AccessToken)
			if !errors.Is(remembered, fresh) && (remembered == nil || fresh == nil || remembered.Error() != fresh.Error()) {
				t.Errorf("at %v: remembered: %v, fresh: %v", at, remembered, fresh)
			}
			got[remembered] = true
		}
		if !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// Verify gives the wrong type's error for a remembered token too.
func TestRememberedTokenHasItsType(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	token := k.sign(t, claims(tokens.AccessToken))
	for range 2 {
		if _, err := k.verifier.Verify(token, tokens.AccessToken); err != nil {
			t.Fatal(err)
		}
		if _, err := k.verifier.Verify(token, tokens.RefreshToken); !errors.Is(err, tokens.ErrWrongType) {
			t.Errorf("as a refresh token: %v", err)
		}
	}
}

func TestSetRingForgetsTheKeysThatAreGone(t *testing.T) {
	t.Parallel()
	old, next := setup(t, "EdDSA"), setup(t, "ES256")
	access, refresh := old.sign(t, claims(tokens.AccessToken)), old.sign(t, claims(tokens.RefreshToken))
	verify := func() (error, error) {
		_, a := old.verifier.Verify(access, tokens.AccessToken)
		_, r := old.verifier.Verify(refresh, tokens.RefreshToken)
		return a, r
	}
	if a, r := verify(); a != nil || r != nil {
		t.Fatal(a, r)
	}
	old.verifier.SetRing(kitFor(t, config(), next.jwk, old.jwk).ring)
	if a, r := verify(); a != nil || r != nil {
		t.Errorf("with both keys: %v, %v", a, r)
	}
	old.verifier.SetRing(next.ring)
	if a, r := verify(); !errors.Is(a, tokens.ErrInvalid) || !errors.Is(r, tokens.ErrInvalid) {
		t.Errorf("after the key was removed: %v, %v", a, r)
	}
	if _, err := old.verifier.Verify(next.sign(t, claims(tokens.AccessToken)), tokens.AccessToken); err != nil {
		t.Errorf("a token of the new key: %v", err)
	}
}

// A token that does not verify is not remembered in place of one that does, or
// vice versa: the same claims with another signature.
func TestMemoryTellsTokensApart(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Remember = 8 // fewer than the tokens below
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	k := kitFor(t, cfg, string(jwk))
	stranger := setup(t, "EdDSA")
	for i := range 200 {
		c := claims(tokens.AccessToken)
		c.SessionID = uuid.New()
		good, forged := k.sign(t, c), stranger.sign(t, c)
		for range 2 {
			got, err := k.verifier.Verify(good, tokens.AccessToken)
			if err != nil || got.SessionID != c.SessionID {
				t.Fatalf("token %d: session %v, want %v (%v)", i, got.SessionID, c.SessionID, err)
			}
			if _, err := k.verifier.Verify(forged, tokens.AccessToken); !errors.Is(err, tokens.ErrInvalid) {
				t.Fatalf("token %d, forged: %v", i, err)
			}
		}
	}
}

// A public key verifies access tokens; refresh tokens are for their issuer alone.
func TestPublicRingKnowsNoRefreshToken(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"EdDSA", "ES256", "RS256", "PS256"} {
		k := setup(t, algorithm)
		public, err := tokens.ParseKeyRing(k.ring.PublicJWKS())
		if err != nil {
			t.Fatal(err)
		}
		verifier, err := tokens.NewVerifier(public, config())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifier.Verify(k.sign(t, claims(tokens.RefreshToken)), tokens.RefreshToken); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

// The secret of refresh tokens comes from the key alone: every replica, and
// every later start, has the same.
func TestRefreshSecretIsDerived(t *testing.T) {
	t.Parallel()
	for _, algorithm := range tokens.AlgorithmNames() {
		k := setup(t, algorithm)
		again := kitFor(t, config(), k.jwk)
		if _, err := again.verifier.Verify(k.sign(t, claims(tokens.RefreshToken)), tokens.RefreshToken); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		if stranger := setup(t, algorithm); k.sign(t, claims(tokens.RefreshToken)) == stranger.sign(t, claims(tokens.RefreshToken)) {
			t.Errorf("%s: two keys make the same token", algorithm)
		}
	}
}
