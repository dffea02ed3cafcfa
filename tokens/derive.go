package tokens

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
)

// thumbprintChars is the length of a SHA-256 digest in base64url.
const thumbprintChars = 43

// IsThumbprint reports whether s has the form of a key's SHA-256 thumbprint
// (RFC 7638, RFC 9449 §6.1): 32 bytes in base64url without padding.
func IsThumbprint(s string) bool {
	_, err := decodeSegment(s)
	return err == nil && len(s) == thumbprintChars
}

// DerivedSecrets derives a secret of 32 bytes (RFC 5869) from each key with a private part; the signing
// key's comes first, as it is the first key with one. The same keys give the same secrets, which reveal
// nothing about the keys, nor about a secret with another purpose.
func (r *KeyRing) DerivedSecrets(purpose string) ([][]byte, error) {
	var secrets [][]byte
	for _, k := range r.keys {
		if k.private == nil {
			continue
		}
		secret, err := derive(k.private, "latchkey derived "+purpose)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

func derive(private any, info string) ([]byte, error) {
	secret, isSecret := private.([]byte)
	if !isSecret {
		var err error
		if secret, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
			return nil, fmt.Errorf("derive a secret from a key: %w", err)
		}
	}
	return hkdf.Key(sha256.New, secret, nil, info, sha256.Size)
}
