package settings

import (
	"errors"
	"fmt"
	"os"

	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Keystore returns how signing keys in PostgreSQL are kept.
func (s StoredKeys) Keystore() (keystore.Config, error) {
	sealer, err := tokens.NewSealer(s.KeyEncryptionKey...)
	return keystore.Config{Sealer: sealer, Algorithm: string(s.KeyAlgorithm)}, err
}

// Required wants the keys to be in PostgreSQL.
func (s StoredKeys) Required() error {
	if len(s.KeyEncryptionKey) == 0 {
		return Wrong("KEY_ENCRYPTION_KEY", "not set", sealingKeysForm+"; keys in a file are replaced as `api keys generate --help` says")
	}
	return nil
}

// Named says which setting it is that does not open a key.
func Named(err error) error {
	if errors.Is(err, tokens.ErrSealed) {
		return fmt.Errorf("KEY_ENCRYPTION_KEY is not the one that the signing keys in the database were sealed with: %w", err)
	}
	return err
}

// ReadKeyRing reads a file of signing keys.
func ReadKeyRing(file string) (*tokens.KeyRing, error) {
	set, err := ReadKeySet(file)
	if err != nil {
		return nil, err
	}
	return tokens.ParseKeyRing([]byte(set))
}

// ReadKeySet returns a JWK set that is one.
func ReadKeySet(file string) (tokens.Secret, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the signing keys: %w", err)
	}
	if _, err := tokens.ParseKeyRing(content); err != nil {
		return "", fmt.Errorf("signing keys in %s: %w", file, err)
	}
	return tokens.Secret(content), nil
}
