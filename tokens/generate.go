package tokens

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
)

// GenerateKey makes a new private key for an algorithm of [AlgorithmNames] and
// returns it as a private JWK (RFC 7517), with its new kid.
func GenerateKey(algorithm string) (jwk Secret, keyID string, err error) {
	a, err := algorithmNamed(algorithm)
	if err != nil {
		return "", "", err
	}
	key, err := a.generate()
	if err != nil {
		return "", "", fmt.Errorf("generate a key: %w", err)
	}
	// Ids sort by age, which is how people look for the newest one.
	id, err := uuid.NewV7()
	if err != nil {
		return "", "", fmt.Errorf("generate a key id: %w", err)
	}
	out, err := jose.JSONWebKey{Key: key, KeyID: id.String(), Algorithm: a.name(), Use: "sig"}.MarshalJSON()
	if err != nil {
		return "", "", fmt.Errorf("generate a key: %w", err)
	}
	return Secret(out), id.String(), nil
}

// PrependKey returns the JWK set with the key put first, where it signs. An empty set means a set without keys.
func PrependKey(jwks, jwk Secret) (Secret, error) {
	return joinKey(jwks, jwk, func(set []json.RawMessage, key json.RawMessage) []json.RawMessage {
		return append([]json.RawMessage{key}, set...)
	})
}

// AppendKey returns the JWK set with the key put last, where it only verifies
// unless it is the first one that can sign. An empty set means a set without keys.
func AppendKey(jwks, jwk Secret) (Secret, error) {
	return joinKey(jwks, jwk, func(set []json.RawMessage, key json.RawMessage) []json.RawMessage {
		return append(set, key)
	})
}

// joinKey leaves the other keys unchanged, including members that
// this package does not know, and returns only what [ParseKeyRing] accepts.
func joinKey(jwks, jwk Secret, join func([]json.RawMessage, json.RawMessage) []json.RawMessage) (Secret, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if jwks != "" {
		if err := json.Unmarshal([]byte(jwks), &set); err != nil {
			return "", errors.New("the key file is not a JWK set")
		}
	}
	set.Keys = join(set.Keys, json.RawMessage(jwk))
	out, err := json.MarshalIndent(set, "", "  ")
	if err != nil {
		return "", errors.New("the key is not a JWK")
	}
	if _, err := ParseKeyRing(out); err != nil {
		return "", err
	}
	return Secret(append(out, '\n')), nil
}
