package tokens_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func config() tokens.Config {
	return tokens.Config{
		Issuer: "https://id.example.com", Audience: "https://api.example.com", ClientID: "app",
		Now: func() time.Time { return now },
	}
}

// kit is a signer and a verifier on one key.
type kit struct {
	ring     *tokens.KeyRing
	jwk      string
	signer   *tokens.Signer
	verifier *tokens.Verifier
	// public has only the public keys; nil if there are none.
	public *tokens.Verifier
}

// verifiers are all those that check access tokens.
func (k kit) verifiers() []*tokens.Verifier {
	if k.public == nil {
		return []*tokens.Verifier{k.verifier}
	}
	return []*tokens.Verifier{k.verifier, k.public}
}

func setup(t *testing.T, algorithm string) kit {
	t.Helper()
	jwk, _, err := tokens.GenerateKey(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return kitFor(t, config(), string(jwk))
}

func kitFor(t *testing.T, cfg tokens.Config, jwks ...string) kit {
	t.Helper()
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + strings.Join(jwks, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := tokens.NewSigner(ring, cfg)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := tokens.NewVerifier(ring, cfg)
	if err != nil {
		t.Fatal(err)
	}
	k := kit{ring: ring, jwk: jwks[0], signer: signer, verifier: verifier}
	if public, err := tokens.ParseKeyRing(ring.PublicJWKS()); err == nil {
		if k.public, err = tokens.NewVerifier(public, cfg); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func claims(typ tokens.Type) tokens.Claims {
	return tokens.Claims{
		Type: typ, Subject: "user-1", SessionID: uuid.MustParse("0195511e-3a00-7000-8000-000000000001"),
		TokenID: uuid.MustParse("0195511e-3a00-7000-8000-000000000002"), Generation: 7,
		IssuedAt: now.Add(-time.Minute), ExpiresAt: now.Add(4 * time.Minute),
	}
}

func (k kit) sign(t *testing.T, c tokens.Claims) string {
	t.Helper()
	token, err := k.signer.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

// part decodes the header (0) or the claims (1) of a token.
func part(t *testing.T, token string, i int) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func encode(t *testing.T, m map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}
