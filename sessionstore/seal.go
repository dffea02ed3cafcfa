package sessionstore

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/canonical"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// Sealer hides session data from readers of the database: package dataseal has
// one. It must be safe for concurrent use. Its errors must reveal nothing
// about data or keys.
type Sealer interface {
	// Key names the sealing key: a few letters and digits, which are stored with
	// what it sealed.
	Key() string
	// Seal seals the data of a session.
	Seal(session uuid.UUID, data []byte) ([]byte, error)
	// Open returns the data that Seal sealed for that session, with this key or an
	// earlier one. For anything else it fails.
	Open(session uuid.UUID, sealed []byte) ([]byte, error)
	// Sum is the content's checksum, made with a key: it reveals nothing about the
	// content to others, and equal contents of two sessions have different
	// checksums.
	Sum(session uuid.UUID, content []byte) []byte
	// IsSum reports whether sum is the content's, made with this key or an earlier
	// one.
	IsSum(session uuid.UUID, content, sum []byte) bool
}

// SealedError is the [ErrUnavailable] of data that the store cannot open. An
// operator must repair it: nothing is wrong with the session or the caller's token.
type SealedError struct {
	SessionID uuid.UUID
	// Key names the key that sealed the data, if it is known.
	Key string
	// Reason says why the data does not open.
	Reason error
}

// Error does not name the session: logs of requests do not either.
func (e *SealedError) Error() string {
	if errors.Is(e.Reason, errPlain) {
		return fmt.Sprintf("session data cannot be used: %v", e.Reason)
	}
	return fmt.Sprintf("session data that was sealed with key %q cannot be opened: %v", e.Key, e.Reason)
}

// Is makes a SealedError an [ErrUnavailable].
func (e *SealedError) Is(target error) bool { return target == ErrUnavailable }

// Unwrap returns the reason.
func (e *SealedError) Unwrap() error { return e.Reason }

var (
	errNoSealer  = errors.New("no key to open session data is configured")
	errNotSealed = errors.New("it does not have the form of sealed data")
	errPlain     = errors.New("it is not sealed, and only sealed data is accepted")
)

// Sealed data is a JSON string in a column where plain data is a JSON object:
// these words, the key's name, a colon, and the ciphertext in base64. So a row
// shows which it is, and which key it needs. (Compas accepted other strings as
// data.)
const (
	sealedPrefix = "latchkey-sealed:"
	keySeparator = ':'
	maxKeyName   = 64
)

var sealedEncoding = base64.RawStdEncoding

func checkSealer(s Sealer) error {
	if s == nil {
		return nil
	}
	name := s.Key()
	if name == "" || len(name) > maxKeyName {
		return fmt.Errorf("sessionstore: the name of the Sealer's key has %d characters, it must have 1 to %d", len(name), maxKeyName)
	}
	for _, c := range []byte(name) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return errors.New("sessionstore: the name of the Sealer's key must be made of letters and digits")
		}
	}
	return nil
}

// MaxDataBytes is the most bytes that a session's data may take, both as given and with its numbers written out in
// full.
const MaxDataBytes = canonical.MaxBytes

// Checksum returns the checksum of a JSON object's content: SHA-256 over one
// canonical form, so that key order, spacing, escapes and the spelling of
// numbers (1, 1.0, 1e0) make no difference, while different content never has
// the same checksum. It fails with an [ArgumentError] if the content cannot be
// stored.
//
// It is a session's checksum if [Config] has no Sealer.
func Checksum(data []byte) (string, error) {
	content, err := canonicalForm(data)
	if err != nil {
		return "", err
	}
	return canonical.Sum(content), nil
}

// canonicalForm fails with an [ArgumentError] if the content cannot be stored.
func canonicalForm(data []byte) ([]byte, error) {
	form, err := canonical.Form(data)
	if err != nil {
		return nil, argumentError("data", "%v", err)
	}
	return form, nil
}

// sealing hides data from readers of the database, if there is a Sealer.
type sealing struct {
	Sealer
	only bool // data that is not sealed is refused
	// plain counts reads of data that is not sealed; nil: not counted.
	plain *atomic.Int64
}

// sum is the checksum of a session's content. If data is sealed, the checksum
// requires a key, or it would reveal the data.
func (s sealing) sum(session uuid.UUID, content []byte) string {
	if s.Sealer == nil {
		return canonical.Sum(content)
	}
	return canonical.SumEncoding.EncodeToString(s.Sum(session, content))
}

// stored is a session's data as stored in the database.
func (s sealing) stored(session uuid.UUID, data []byte) ([]byte, error) {
	if s.Sealer == nil {
		return data, nil
	}
	key := s.Key()
	sealed, err := s.Seal(session, data)
	if err != nil {
		return nil, sessionerr.Unavailable("seal session data", err)
	}
	begin := sealedWith(key)
	text := make([]byte, 0, len(begin)+len(`""`)+sealedEncoding.EncodedLen(len(sealed)))
	text = append(append(text, '"'), begin...)
	return append(sealedEncoding.AppendEncode(text, sealed), '"'), nil
}

// sealedWith is the prefix of data that a key sealed.
func sealedWith(key string) string { return sealedPrefix + key + string(keySeparator) }

const isSealedData = `(jsonb_typeof("data") = 'string' AND starts_with("data" #>> '{}', '` + sealedPrefix + `'))`

func isSealed(stored []byte) bool { return bytes.HasPrefix(stored, []byte(`"`+sealedPrefix)) }

// open is the reverse of stored. Data from before there was a Sealer is
// not sealed. The error is a [SealedError].
func (s sealing) open(session uuid.UUID, stored []byte) ([]byte, error) {
	if !isSealed(stored) {
		if s.only {
			return nil, &SealedError{SessionID: session, Reason: errPlain}
		}
		if s.Sealer != nil && s.plain != nil {
			s.plain.Add(1)
		}
		return stored, nil
	}
	key, text, ok := bytes.Cut(bytes.Trim(stored[1+len(sealedPrefix):], `"`), []byte{keySeparator})
	if !ok || len(key) > maxKeyName {
		return nil, &SealedError{SessionID: session, Reason: errNotSealed}
	}
	fail := func(reason error) ([]byte, error) {
		return nil, &SealedError{SessionID: session, Key: string(key), Reason: reason}
	}
	if s.Sealer == nil {
		return fail(errNoSealer)
	}
	sealed := make([]byte, sealedEncoding.DecodedLen(len(text)))
	n, err := sealedEncoding.Decode(sealed, text)
	if err != nil {
		return fail(errNotSealed)
	}
	data, err := s.Open(session, sealed[:n])
	if err != nil {
		return fail(err)
	}
	return data, nil
}

// wasRead reports whether stored data is what the caller read, although its
// checksum differs now: the same content has a different one under each key, and
// another if it is not sealed. So resealing data causes no conflict. The error
// is a [SealedError], if the data cannot be opened to find out.
func (s sealing) wasRead(session uuid.UUID, checksum string, stored []byte) (bool, error) {
	if s.Sealer == nil {
		return false, nil
	}
	data, err := s.open(session, stored)
	if err != nil {
		return false, err
	}
	content, err := canonicalForm(data)
	if err != nil {
		content = data // see reseal.go
	}
	sum, err := canonical.SumEncoding.DecodeString(checksum)
	if err != nil {
		return false, nil //nolint:nilerr // a checksum of another kind, such as one of Compas
	}
	return canonical.Sum(content) == checksum || s.IsSum(session, content, sum), nil
}
