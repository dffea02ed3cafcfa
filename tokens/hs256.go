package tokens

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"

	"github.com/golang-jwt/jwt/v5"
)

// preparedHS256 is HS256 with a [macKey]. The library's own prepares the key again for each
// token.
type preparedHS256 struct{ *jwt.SigningMethodHMAC }

// macKey is a secret of HS256 with which hashes have been begun.
type macKey struct{ begun sync.Pool }

// mac is a hash that was begun with a key, and room for what goes in and what comes out.
type mac struct {
	hash.Hash

	in  [1 << 10]byte
	sum [sha256.Size]byte
}

func newMACKey(secret []byte) *macKey {
	return &macKey{sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, secret)} }}}
}

// of calls use with the text's MAC, which is good until it returns.
func (k *macKey) of(text string, use func(sum []byte)) {
	m, _ := k.begun.Get().(*mac)
	defer k.begun.Put(m)
	m.Reset()
	for len(text) > 0 {
		n := copy(m.in[:], text)
		_, _ = m.Write(m.in[:n]) // a hash never fails
		text = text[n:]
	}
	use(m.Sum(m.sum[:0]))
}

// Sign implements [jwt.SigningMethod].
func (preparedHS256) Sign(signingString string, key any) (signature []byte, err error) {
	k, ok := key.(*macKey)
	if !ok {
		return nil, jwt.ErrInvalidKeyType
	}
	k.of(signingString, func(sum []byte) { signature = append(signature, sum...) })
	return signature, nil
}

// Verify implements [jwt.SigningMethod].
func (preparedHS256) Verify(signingString string, signature []byte, key any) error {
	k, ok := key.(*macKey)
	if !ok {
		return jwt.ErrInvalidKeyType
	}
	same := false
	k.of(signingString, func(sum []byte) { same = hmac.Equal(signature, sum) })
	if !same {
		return jwt.ErrSignatureInvalid
	}
	return nil
}
