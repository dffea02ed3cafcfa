package dataseal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Sealed data is bound to these words and the session, and the checksum's key
// is made with its own words: neither can be used in place of the other.
const (
	sealPurpose = "latchkey session data v1"
	sumPurpose  = "latchkey session data checksum v1"
)

// A ciphertext of Tink begins with a version and the number of its key.
const (
	tinkPrefix      = 0x01
	tinkPrefixBytes = 5
)

var (
	// ErrUnknownKey says that the keyset has no key, or no enabled one, that sealed
	// the data.
	ErrUnknownKey = errors.New("the keyset does not have the key")

	// ErrDoesNotOpen says that sealed data was changed, or belongs to another session.
	ErrDoesNotOpen = errors.New("it was changed, or belongs to another session")
)

// Sealer seals session data and opens it, and makes checksums that do not reveal
// the data. It is safe for concurrent use. Printing it reveals no key.
type Sealer struct {
	aead    tink.AEAD
	primary string
	sumKeys map[string][]byte // by key
}

// NewSealer returns a sealer that seals with the keyset's primary key.
func NewSealer(keys *Keyset) (*Sealer, error) {
	entries, err := keys.entries()
	if err != nil {
		return nil, err
	}
	primitive, err := aead.New(keys.handle)
	if err != nil {
		return nil, fmt.Errorf("dataseal: %w", err)
	}
	s := &Sealer{aead: primitive, sumKeys: map[string][]byte{}}
	for _, e := range entries {
		// RFC 5869. The keyset cannot hold keys of another kind alongside those that
		// seal.
		if s.sumKeys[e.info.ID], err = hkdf.Key(sha256.New, e.secret, nil, sumPurpose, sha256.Size); err != nil {
			return nil, fmt.Errorf("dataseal: %w", err)
		}
		if e.info.Primary {
			s.primary = e.info.ID
		}
	}
	return s, nil
}

// Key names the key that seals.
func (s *Sealer) Key() string { return s.primary }

// Seal seals the data of a session.
func (s *Sealer) Seal(session uuid.UUID, data []byte) ([]byte, error) {
	sealed, err := s.aead.Encrypt(data, boundTo(session))
	if err != nil {
		return nil, fmt.Errorf("dataseal: %w", err)
	}
	return sealed, nil
}

// Open returns the data that was sealed for a session. The error is
// [ErrUnknownKey] or [ErrDoesNotOpen].
func (s *Sealer) Open(session uuid.UUID, sealed []byte) ([]byte, error) {
	data, err := s.aead.Decrypt(sealed, boundTo(session))
	if err == nil {
		return data, nil
	}
	if len(sealed) >= tinkPrefixBytes && sealed[0] == tinkPrefix {
		if _, known := s.sumKeys[nameOf(binary.BigEndian.Uint32(sealed[1:tinkPrefixBytes]))]; !known {
			return nil, ErrUnknownKey
		}
	}
	return nil, ErrDoesNotOpen
}

// Sum is a checksum of 32 bytes that reveals nothing about the content without
// the sealing key: HMAC-SHA-256 (RFC 2104). Sessions with equal
// content have different ones.
func (s *Sealer) Sum(session uuid.UUID, content []byte) []byte {
	return s.sum(s.primary, session, content)
}

// IsSum reports whether sum is the content's, under any key of the keyset.
func (s *Sealer) IsSum(session uuid.UUID, content, sum []byte) bool {
	for key := range s.sumKeys {
		if hmac.Equal(s.sum(key, session, content), sum) {
			return true
		}
	}
	return false
}

// Format shows no key, whatever the verb.
func (*Sealer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

func (s *Sealer) sum(key string, session uuid.UUID, content []byte) []byte {
	mac := hmac.New(sha256.New, s.sumKeys[key])
	mac.Write(session[:]) // of fixed length, so that no other input reads the same
	mac.Write(content)
	return mac.Sum(nil)
}

// boundTo returns the associated data, without which nothing opens.
func boundTo(session uuid.UUID) []byte {
	return append([]byte(sealPurpose), session[:]...)
}
