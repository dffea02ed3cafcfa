package dpop_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/dpop"
)

const (
	base  = "https://api.example.com"
	token = "an.access.token"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func checker(tb testing.TB, change ...func(*dpop.Config)) *dpop.Checker {
	tb.Helper()
	cfg := dpop.Config{BaseURL: base, Now: func() time.Time { return now }}
	for _, c := range change {
		c(&cfg)
	}
	checker, err := dpop.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return checker
}

func p256(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(tb)
}

func ed(tb testing.TB) ed25519.PrivateKey {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return must(key, err)(tb)
}

func rsaKey(tb testing.TB, bits int) *rsa.PrivateKey {
	tb.Helper()
	return must(rsa.GenerateKey(rand.Reader, bits))(tb)
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

func public(key crypto.PrivateKey) any {
	if signer, ok := key.(crypto.Signer); ok {
		return signer.Public()
	}
	return key
}

func thumbprint(tb testing.TB, key crypto.PrivateKey) string {
	tb.Helper()
	jwk := jose.JSONWebKey{Key: public(key)}
	return base64.RawURLEncoding.EncodeToString(must(jwk.Thumbprint(crypto.SHA256))(tb))
}

// spec is a proof in the making: good as it is.
type spec struct {
	key       any
	algorithm jose.SignatureAlgorithm
	header    map[string]any
	claims    map[string]any
}

func good(tb testing.TB, key any, algorithm jose.SignatureAlgorithm) spec {
	tb.Helper()
	ath := sha256.Sum256([]byte(token))
	return spec{
		key, algorithm,
		map[string]any{"typ": "dpop+jwt", "alg": algorithm, "jwk": jose.JSONWebKey{Key: public(key)}},
		map[string]any{
			"jti": rand.Text(), "htm": "GET", "htu": base + "/cart", "iat": now.Unix(),
			"ath": base64.RawURLEncoding.EncodeToString(ath[:]),
		},
	}
}

// sign assembles the proof itself, so that its header can be anything.
func (s spec) sign(tb testing.TB) string {
	tb.Helper()
	header, claims := must(json.Marshal(s.header))(tb), must(json.Marshal(s.claims))(tb)
	return s.signText(tb, string(header), string(claims))
}

func (s spec) signText(tb testing.TB, header, claims string) string {
	tb.Helper()
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	switch key := s.key.(type) {
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(input))
	case *ecdsa.PrivateKey:
		r, q, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			tb.Fatal(err)
		}
		size := (key.Curve.Params().BitSize + 7) / 8
		signature = append(r.FillBytes(make([]byte, size)), q.FillBytes(make([]byte, size))...)
	case *rsa.PrivateKey:
		if s.algorithm == jose.PS256 {
			signature = must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))(tb)
		} else {
			signature = must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:]))(tb)
		}
	case []byte:
		signature = hmacOf(key, input)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}
