package tokens

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
)

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

// refreshSecret derives the key of refresh tokens from a private key (RFC 5869):
// one key file serves both purposes, and neither key reveals the other.
func refreshSecret(private any) ([]byte, error) {
	return derive(private, "latchkey refresh tokens")
}

// fingerprintBytes is enough to distinguish keys, and too little to reveal anything.
const fingerprintBytes = 8

// Fingerprint returns a value that distinguishes a secret from others.
func (s Secret) Fingerprint() (string, error) { return fingerprint([]byte(s)) }

func fingerprint(private any) (string, error) {
	derived, err := derive(private, "latchkey fingerprint")
	if err != nil {
		return "", fmt.Errorf("make a fingerprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(derived[:fingerprintBytes]), nil
}
