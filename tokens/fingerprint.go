package tokens

import (
	"encoding/base64"
	"fmt"
)

// fingerprintBytes is enough to distinguish keys, and too little to reveal anything.
const fingerprintBytes = 8

// Fingerprints returns, by the ids of the keys that can sign, a value that
// distinguishes each from any other key with the same id. It is derived as the secret
// of refresh tokens is, and reveals nothing about either.
func (r *KeyRing) Fingerprints() (map[string]string, error) {
	fingerprints := make(map[string]string, len(r.keys))
	for _, k := range r.keys {
		if k.private == nil {
			continue
		}
		text, err := fingerprint(k.private)
		if err != nil {
			return nil, err
		}
		fingerprints[k.id] = text
	}
	return fingerprints, nil
}

// Fingerprint returns a value that distinguishes a secret from others.
func (s Secret) Fingerprint() (string, error) { return fingerprint([]byte(s)) }

func fingerprint(private any) (string, error) {
	derived, err := derive(private, "latchkey fingerprint")
	if err != nil {
		return "", fmt.Errorf("make a fingerprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(derived[:fingerprintBytes]), nil
}
