package tokens

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"

	"github.com/golang-jwt/jwt/v5"
)

// refreshMethod signs refresh tokens. Nobody but their issuer verifies them, so a
// MAC does what a signature would, for a hundredth of its time.
var refreshMethod = preparedHS256{jwt.SigningMethodHS256}

// preparedHS256 is HS256 with a [preparedSecret] for its key: the library's own hashes the
// secret anew for each token. The MACs are the same.
type preparedHS256 struct{ *jwt.SigningMethodHMAC }

// Sign implements [jwt.SigningMethod].
func (preparedHS256) Sign(signingString string, key any) ([]byte, error) {
	secret, ok := key.(*preparedSecret)
	if !ok {
		return nil, jwt.ErrInvalidKeyType
	}
	m := secret.take()
	defer secret.macs.Put(m)
	return m.sum(nil, signingString), nil
}

// Verify implements [jwt.SigningMethod].
func (preparedHS256) Verify(signingString string, signature []byte, key any) error {
	secret, ok := key.(*preparedSecret)
	if !ok {
		return jwt.ErrInvalidKeyType
	}
	m := secret.take()
	defer secret.macs.Put(m)
	if !hmac.Equal(signature, m.sum(m.room[:0], signingString)) {
		return jwt.ErrSignatureInvalid
	}
	return nil
}

// preparedSecret is a secret of HMAC with SHA-256 that was hashed already.
type preparedSecret struct{ macs sync.Pool }

// preparedMAC is used by one goroutine at a time.
type preparedMAC struct {
	hash.Hash

	text []byte
	room [sha256.Size]byte
}

func prepareSecret(secret []byte) *preparedSecret {
	return &preparedSecret{sync.Pool{New: func() any { return &preparedMAC{Hash: hmac.New(sha256.New, secret)} }}}
}

func (s *preparedSecret) take() *preparedMAC {
	m, _ := s.macs.Get().(*preparedMAC)
	return m
}

// sum appends the MAC of a text.
func (m *preparedMAC) sum(dst []byte, text string) []byte {
	m.Reset()
	m.text = append(m.text[:0], text...)
	_, _ = m.Write(m.text) // no hash fails
	return m.Sum(dst)
}
