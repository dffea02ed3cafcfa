package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const (
	minRSABits   = 2048 // RFC 8725 §3.5, RFC 7518 §3.3
	minHMACBytes = 32   // RFC 7518 §3.2
)

// algorithm ties a JWS algorithm to the one type of key that may use it
// (RFC 8725 §3.1): what a token's header says never decides how a key is used.
type algorithm struct {
	method jwt.SigningMethod
	// split takes a JWK's key apart. private is nil for a public key; public
	// equals private where the scheme is symmetric.
	split func(key any) (private, public any, err error)
	// generate makes a new private key.
	generate func() (any, error)
}

// algorithms, in the order in which messages name them.
var algorithms = []algorithm{
	{jwt.SigningMethodEdDSA, splitEd25519, generateEd25519},
	{deterministicES256{jwt.SigningMethodES256}, splitP256, generateP256},
	{jwt.SigningMethodRS256, splitRSA, generateRSA},
	{strictPS256, splitRSA, generateRSA},
	{jwt.SigningMethodHS256, splitHMAC, generateHMAC},
}

// strictPS256 accepts only the salt that RFC 7518 §3.5 requires, which is as long as
// the hash. The library's own PS256 signs with it, but verifies with any.
var strictPS256 = &jwt.SigningMethodRSAPSS{
	SigningMethodRSA: jwt.SigningMethodPS256.SigningMethodRSA,
	Options:          jwt.SigningMethodPS256.Options,
}

func (a algorithm) name() string { return a.method.Alg() }

// isPublic reports whether others can verify what a method signs.
func isPublic(method jwt.SigningMethod) bool { return method != jwt.SigningMethodHS256 }

func algorithmNamed(name string) (algorithm, error) {
	for _, a := range algorithms {
		if a.name() == name {
			return a, nil
		}
	}
	return algorithm{}, fmt.Errorf("algorithm %q is not one of %s", name, strings.Join(AlgorithmNames(), ", "))
}

// AlgorithmNames lists the JWS algorithms that a key may have.
func AlgorithmNames() []string {
	names := make([]string, len(algorithms))
	for i, a := range algorithms {
		names[i] = a.name()
	}
	return names
}

func splitEd25519(key any) (private, public any, err error) {
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return k, k.Public(), nil
	case ed25519.PublicKey:
		return nil, k, nil
	}
	return nil, nil, errors.New("an Ed25519 key is wanted")
}

func splitP256(key any) (private, public any, err error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P256() {
			return k, &k.PublicKey, nil
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return nil, k, nil
		}
	}
	return nil, nil, errors.New("an EC key on the curve P-256 is wanted")
}

func splitRSA(key any) (private, public any, err error) {
	var modulus *rsa.PublicKey
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if err := k.Validate(); err != nil {
			return nil, nil, errors.New("the parts of the RSA key do not belong together")
		}
		private, modulus = k, &k.PublicKey
	case *rsa.PublicKey:
		modulus = k
	default:
		return nil, nil, errors.New("an RSA key is wanted")
	}
	if bits := modulus.N.BitLen(); bits < minRSABits {
		return nil, nil, fmt.Errorf("the RSA key has %d bits, it must have %d or more", bits, minRSABits)
	}
	return private, modulus, nil
}

func splitHMAC(key any) (private, public any, err error) {
	k, ok := key.([]byte)
	if !ok {
		return nil, nil, errors.New("a symmetric (oct) key is wanted")
	}
	if len(k) < minHMACBytes {
		return nil, nil, fmt.Errorf("the secret has %d bytes, it must have %d or more", len(k), minHMACBytes)
	}
	return k, k, nil
}

func generateEd25519() (any, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	return private, err
}

func generateP256() (any, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func generateRSA() (any, error) { return rsa.GenerateKey(rand.Reader, minRSABits) }

func generateHMAC() (any, error) {
	secret := make([]byte, minHMACBytes)
	_, err := rand.Read(secret)
	return secret, err
}

// deterministicES256 signs as RFC 6979 says: the same claims give the same token
// to the byte, as with Ed25519, and no signature depends on a source of
// randomness. The library's own ES256 signs with random numbers; to a verifier
// the two are the same.
type deterministicES256 struct{ *jwt.SigningMethodECDSA }

// Sign implements [jwt.SigningMethod].
func (m deterministicES256) Sign(signingString string, key any) ([]byte, error) {
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, jwt.ErrInvalidKeyType
	}
	hash := m.Hash.New()
	hash.Write([]byte(signingString))
	der, err := private.Sign(nil, hash.Sum(nil), crypto.SHA256) // nil: RFC 6979
	if err != nil {
		return nil, err
	}
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &signature); err != nil {
		return nil, err
	}
	joined := make([]byte, 2*m.KeySize) // RFC 7518 §3.4
	signature.R.FillBytes(joined[:m.KeySize])
	signature.S.FillBytes(joined[m.KeySize:])
	return joined, nil
}
