package tokens

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"
)

// cacheOf is the cache itself, with what only tests ask it for.
func cacheOf(t *testing.T, m *memory) *otter.Cache[[sha256.Size]byte, *verifiedClaims] {
	t.Helper()
	cache, ok := m.cache.(*otter.Cache[[sha256.Size]byte, *verifiedClaims])
	if !ok {
		t.Fatalf("the cache is a %T", m.cache)
	}
	return cache
}

// Exactly as many tokens are remembered as
// configured.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	for remember, want := range map[int]uint64{0: defaultRemember, 1: 1, 8: 8} {
		cfg, err := Config{Issuer: "https://id.example.com", Audience: "api", Remember: remember}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		m, err := newMemory(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := cacheOf(t, m).GetMaximum(); got != want {
			t.Errorf("%d are to be remembered, %d are", remember, got)
		}
	}
	if m, err := newMemory(Config{Remember: -1}); m != nil || err != nil {
		t.Errorf("none are to be remembered: %v, %v", m, err)
	}
}

// A token is forgotten when it expires: what a client no longer sends is not kept.
func TestMemoryForgetsWhatExpires(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	m, err := newMemory(Config{Remember: 8, Leeway: 5 * time.Second, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for i, left := range []time.Duration{time.Hour, -time.Hour} {
		m.add([32]byte{byte(i)}, &verifiedClaims{Claims: Claims{ExpiresAt: now.Add(left)}})
		entry, ok := cacheOf(t, m).GetEntryQuietly([32]byte{byte(i)})
		if left > 0 && (!ok || entry.ExpiresAfter() > left+5*time.Second || entry.ExpiresAfter() < left) {
			t.Errorf("a token that is good for %v: %v, forgotten after %v", left, ok, entry.ExpiresAfter())
		}
		if left < 0 && ok && entry.ExpiresAfter() > time.Second {
			t.Errorf("a token that has expired is forgotten after %v", entry.ExpiresAfter())
		}
	}
}

// A client sends a refresh token once: it is not remembered.
func TestMemoryOfAccessTokensOnly(t *testing.T) {
	t.Parallel()
	jwk, _, err := GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Issuer: "https://id.example.com", Audience: "api"}
	signer, err := NewSigner(ring, cfg)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := NewVerifier(ring, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for typ, want := range map[Type]bool{AccessToken: true, RefreshToken: false} {
		token, err := signer.Sign(Claims{Type: typ, IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifier.Verify(string(token), typ); err != nil {
			t.Fatal(err)
		}
		if _, has := verifier.ring.Load().verified.get(sha256.Sum256([]byte(token))); has != want {
			t.Errorf("%s is remembered: %v", typ, has)
		}
	}
}
