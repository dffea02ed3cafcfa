package tokens_test

import (
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/tokens"
)

func benchKit(b *testing.B, algorithm string, remember int) kit {
	b.Helper()
	jwk, _, err := tokens.GenerateKey(algorithm)
	if err != nil {
		b.Fatal(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		b.Fatal(err)
	}
	cfg := config()
	cfg.Now, cfg.Remember = time.Now, remember
	signer, err := tokens.NewSigner(ring, cfg)
	if err != nil {
		b.Fatal(err)
	}
	verifier, err := tokens.NewVerifier(ring, cfg)
	if err != nil {
		b.Fatal(err)
	}
	return kit{ring: ring, signer: signer, verifier: verifier}
}

func benchClaims(typ tokens.Type) tokens.Claims {
	c := claims(typ)
	c.IssuedAt, c.ExpiresAt = time.Now(), time.Now().Add(time.Hour)
	return c
}

func BenchmarkSign(b *testing.B) {
	for _, algorithm := range tokens.AlgorithmNames() {
		b.Run("access/"+algorithm, func(b *testing.B) { benchmarkSign(b, benchKit(b, algorithm, 0), tokens.AccessToken) })
	}
	b.Run("refresh", func(b *testing.B) { benchmarkSign(b, benchKit(b, "EdDSA", 0), tokens.RefreshToken) })
}

func benchmarkSign(b *testing.B, k kit, typ tokens.Type) {
	b.Helper()
	c := benchClaims(typ)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.signer.Sign(c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range tokens.AlgorithmNames() {
		b.Run("access/"+algorithm, func(b *testing.B) { benchmarkVerify(b, benchKit(b, algorithm, -1), tokens.AccessToken) })
	}
	b.Run("access/remembered", func(b *testing.B) { benchmarkVerify(b, benchKit(b, "EdDSA", 0), tokens.AccessToken) })
	b.Run("refresh", func(b *testing.B) { benchmarkVerify(b, benchKit(b, "EdDSA", 0), tokens.RefreshToken) })
}

func benchmarkVerify(b *testing.B, k kit, typ tokens.Type) {
	b.Helper()
	token, err := k.signer.Sign(benchClaims(typ))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.verifier.Verify(string(token), typ); err != nil {
			b.Fatal(err)
		}
	}
}

// claims200 are 200 bytes of claims, as backends send them.
const claims200 = `{"role":"editor","tenant":"7d6b0f6e-3a54-4c0e-9a2e-6c2a4f7f6c11","scope":"orders:read orders:write","groups":["staff","billing","support"],"plan":"enterprise","seats":25,"beta":true,"region":"eu-w10"}`

func BenchmarkCustomClaims(b *testing.B) {
	if len(claims200) != 200 {
		b.Fatal(len(claims200))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tokens.CustomClaims([]byte(claims200)); err != nil {
			b.Fatal(err)
		}
	}
}
