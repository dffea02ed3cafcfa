package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"math/big"
)

// The signature schemes of RFC 7518 §3 and RFC 8037 §3.1.

type (
	signFunc   func(key any, message []byte) ([]byte, error)
	verifyFunc func(key any, message, signature []byte) bool
)

var errWrongKey = errors.New("the key is of another type than its algorithm")

// signs makes a scheme's function one for keys of any type, and refuses all
// but its own.
func signs[K any](sign func(K, []byte) ([]byte, error)) signFunc {
	return func(key any, message []byte) ([]byte, error) {
		k, ok := key.(K)
		if !ok {
			return nil, errWrongKey
		}
		return sign(k, message)
	}
}

func verifies[K any](verify func(K, []byte, []byte) bool) verifyFunc {
	return func(key any, message, signature []byte) bool {
		k, ok := key.(K)
		return ok && verify(k, message, signature)
	}
}

func signEd25519(key ed25519.PrivateKey, message []byte) ([]byte, error) {
	return ed25519.Sign(key, message), nil
}

func verifyEd25519(key ed25519.PublicKey, message, signature []byte) bool {
	return ed25519.Verify(key, message, signature)
}

// p256Bytes is the length of each of a signature's two numbers (RFC 7518 §3.4).
const p256Bytes = 32

func signP256(key *ecdsa.PrivateKey, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return nil, err
	}
	signature := make([]byte, 2*p256Bytes)
	r.FillBytes(signature[:p256Bytes])
	s.FillBytes(signature[p256Bytes:])
	return signature, nil
}

func verifyP256(key *ecdsa.PublicKey, message, signature []byte) bool {
	if len(signature) != 2*p256Bytes {
		return false
	}
	digest := sha256.Sum256(message)
	r, s := new(big.Int).SetBytes(signature[:p256Bytes]), new(big.Int).SetBytes(signature[p256Bytes:])
	return ecdsa.Verify(key, digest[:], r, s)
}

func signRS256(key *rsa.PrivateKey, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
}

func verifyRS256(key *rsa.PublicKey, message, signature []byte) bool {
	digest := sha256.Sum256(message)
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
}

// RFC 7518 §3.5: the salt is as long as the hash.
var pssOptions = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}

func signPS256(key *rsa.PrivateKey, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], pssOptions)
}

func verifyPS256(key *rsa.PublicKey, message, signature []byte) bool {
	digest := sha256.Sum256(message)
	return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, pssOptions) == nil
}

func signHS256(key, message []byte) ([]byte, error) {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return mac.Sum(nil), nil
}

func verifyHS256(key, message, signature []byte) bool {
	want, _ := signHS256(key, message)
	return hmac.Equal(want, signature)
}
