package tokens

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"slices"
	"sync"

	"github.com/golang-jwt/jwt/v5"
)

// hs256 is HS256 with keys that are prepared once.
var hs256 = preparedHS256{jwt.SigningMethodHS256}

// preparedHS256 is HS256 with a [macKey]. The library's own prepares the key again for each token, with six allocations. The
// signatures are the same.
type preparedHS256 struct{ *jwt.SigningMethodHMAC }

// Sign implements [jwt.SigningMethod].
func (preparedHS256) Sign(signingString string, key any) ([]byte, error) {
	prepared, ok := key.(*macKey)
	if !ok {
		return nil, jwt.ErrInvalidKeyType
	}
	m := prepared.take()
	defer prepared.macs.Put(m)
	return slices.Clone(m.of(signingString)), nil
}

// Verify implements [jwt.SigningMethod].
func (preparedHS256) Verify(signingString string, signature []byte, key any) error {
	prepared, ok := key.(*macKey)
	if !ok {
		return jwt.ErrInvalidKeyType
	}
	m := prepared.take()
	defer prepared.macs.Put(m)
	if !hmac.Equal(signature, m.of(signingString)) {
		return jwt.ErrSignatureInvalid
	}
	return nil
}

// macKey is a key of HMAC-SHA-256, with the MACs that were prepared with it and are not in use.
type macKey struct{ macs sync.Pool }

func newMACKey(secret []byte) *macKey {
	return &macKey{sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, secret)} }}}
}

func (k *macKey) take() *mac {
	m, _ := k.macs.Get().(*mac)
	return m
}

// mac computes one MAC after the other.
type mac struct {
	hash.Hash

	text, sum []byte
}

// of returns the MAC of a text, which is valid until the next one.
func (m *mac) of(text string) []byte {
	m.text = append(m.text[:0], text...)
	m.Reset()
	m.Write(m.text)
	m.sum = m.Sum(m.sum[:0])
	return m.sum
}
