package testkeys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Device is a client with a key.
type Device struct {
	// ClockOff is how far the device's clock is ahead.
	ClockOff time.Duration

	key    *ecdsa.PrivateKey
	signer jose.Signer
}

// NewDevice makes a key.
func NewDevice(tb testing.TB) Device {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		tb.Fatal(err)
	}
	return Device{key: key, signer: signer}
}

// Thumbprint is what tokens are bound to (RFC 7638).
func (d Device) Thumbprint(tb testing.TB) string {
	tb.Helper()
	sum, err := (&jose.JSONWebKey{Key: d.key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		tb.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// Proof is a proof of possession for a request (RFC 9449 §4.2). An access token and a nonce may be empty.
func (d Device) Proof(tb testing.TB, method, url, accessToken, nonce string) string {
	tb.Helper()
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": url, "iat": time.Now().Add(d.ClockOff).Unix()}
	if accessToken != "" {
		sum := sha256.Sum256([]byte(accessToken))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	text, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	jws, err := d.signer.Sign(text)
	if err != nil {
		tb.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		tb.Fatal(err)
	}
	return compact
}
