package tokens

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// SealingKeyBytes is the length of the keys of a [Sealer].
const SealingKeyBytes = 32

// ErrSealed says that a sealed key does not open: it was sealed with a key that
// the sealer does not have, was changed, or is not the requested one.
var ErrSealed = errors.New("the sealed key does not open")

// The private keys are encrypted under the sealer's key itself (RFC 7518 §4.5,
// §5.3): they are far too few for its random nonces to collide.
const (
	sealAlgorithm  = jose.DIRECT
	sealEncryption = jose.A256GCM
	sealedType     = "jwk+json" // RFC 7517 §7
)

// Sealer encrypts private JWKs, so that they can be stored where others can
// read them.
type Sealer struct{ keys [][]byte }

// NewSealer returns a sealer. The first key seals; all of them open. Each has
// [SealingKeyBytes] random bytes.
func NewSealer(keys ...[]byte) (*Sealer, error) {
	if len(keys) == 0 {
		return nil, errors.New("tokens: a sealer needs a key")
	}
	for i, key := range keys {
		if len(key) != SealingKeyBytes {
			return nil, fmt.Errorf("tokens: sealing key %d has %d bytes, it must have %d", i+1, len(key), SealingKeyBytes)
		}
	}
	return &Sealer{keys}, nil
}

// Seal encrypts a private JWK. It returns a JWE (RFC 7516 §7.1).
func (s *Sealer) Seal(jwk Secret) (string, error) {
	encrypter, err := jose.NewEncrypter(sealEncryption, jose.Recipient{Algorithm: sealAlgorithm, Key: s.keys[0]},
		(&jose.EncrypterOptions{}).WithContentType(sealedType))
	if err != nil {
		return "", fmt.Errorf("seal a key: %w", err)
	}
	sealed, err := encrypter.Encrypt([]byte(jwk))
	if err != nil {
		return "", fmt.Errorf("seal a key: %w", err)
	}
	return sealed.CompactSerialize()
}

// Open returns the private JWK that was sealed, and whether it was sealed with
// the current sealing key. A JWK with a kid other than the given one is
// refused: the kid is sealed with the key, so that one cannot be substituted
// for another. Every error is [ErrSealed].
func (s *Sealer) Open(sealed, keyID string) (jwk Secret, current bool, err error) {
	object, err := jose.ParseEncryptedCompact(sealed, []jose.KeyAlgorithm{sealAlgorithm}, []jose.ContentEncryption{sealEncryption})
	if err != nil {
		return "", false, ErrSealed
	}
	for i, key := range s.keys {
		plain, err := object.Decrypt(key)
		if err != nil {
			continue
		}
		var named struct {
			ID string `json:"kid"`
		}
		if json.Unmarshal(plain, &named) != nil || named.ID != keyID {
			return "", false, ErrSealed
		}
		return Secret(plain), i == 0, nil
	}
	return "", false, ErrSealed
}
