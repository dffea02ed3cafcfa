package tokens

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
)

// keyUse is a key as it is used for one type of token: a token of that type
// that it signed has this header, to the byte, and no other.
type keyUse struct {
	typ                  Type
	keyID                string
	algorithm            algorithm
	header               string // base64url
	signWith, verifyWith any
}

func newKeyUse(keyID string, typ Type, a algorithm, signWith, verifyWith any) *keyUse {
	header := appendString([]byte(`{"alg":`), a.name)
	header = appendString(append(header, `,"kid":`...), keyID)
	header = appendString(append(header, `,"typ":`...), string(typ))
	return &keyUse{
		typ: typ, keyID: keyID, algorithm: a,
		header:   base64.RawURLEncoding.EncodeToString(append(header, '}')),
		signWith: signWith, verifyWith: verifyWith,
	}
}

// refreshAlgorithm signs refresh tokens. Nobody but their issuer verifies them,
// so a MAC does what a signature would, for a hundredth of its time.
var refreshAlgorithm = algorithm{name: "HS256", sign: signs(signHS256), verify: verifies(verifyHS256)}

// refreshSecret derives the key of refresh tokens from a private key (RFC 5869):
// one key file serves for both, and neither key tells the other.
func refreshSecret(private any) ([]byte, error) {
	secret, isSecret := private.([]byte)
	if !isSecret {
		var err error
		if secret, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
			return nil, fmt.Errorf("derive the key of refresh tokens: %w", err)
		}
	}
	return hkdf.Key(sha256.New, secret, nil, "latchkey refresh tokens", sha256.Size)
}
