package dataseal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/aead/xaesgcm"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/key"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

const (
	keyBytes = 32
	// saltBytes of the nonce select a message's key: as many as the specification says.
	saltBytes = 12
)

var (
	// ErrKeyset says that something is not a usable keyset. No error of this package
	// contains anything of a keyset except the names of keys.
	ErrKeyset = errors.New("not a Tink keyset with keys for XAES-256-GCM or AES-256-GCM, in JSON and not encrypted")

	// ErrNoKey says that a keyset has no such key.
	ErrNoKey = errors.New("the keyset has no such key")

	// ErrPrimary says that the key which seals cannot be removed.
	ErrPrimary = errors.New("the key seals data: make another one the primary key first")
)

// Keyset is the keys that seal and open session data. Printing it reveals none.
type Keyset struct{ handle *keyset.Handle }

// Key is the part of a key that may be shown.
type Key struct {
	// ID is the name that Tink gave it: a number in decimal.
	ID string `json:"kid"`
	// Algorithm is XAES-256-GCM or AES-256-GCM.
	Algorithm string `json:"alg"`
	// Primary says that it seals. All keys open.
	Primary bool `json:"primary"`
}

// NewKeyset makes a keyset with one key.
func NewKeyset() (*Keyset, error) {
	manager := keyset.NewManager()
	id, err := addKey(manager)
	if err != nil {
		return nil, err
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("dataseal: %w", err)
	}
	return managed(manager)
}

// ParseKeyset reads a keyset in Tink's JSON form. The error is [ErrKeyset].
func ParseKeyset(text []byte) (*Keyset, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		return nil, ErrKeyset // Tink's own error repeats what it could not read
	}
	k := &Keyset{handle}
	if _, err := k.entries(); err != nil {
		return nil, err
	}
	return k, nil
}

// Marshal returns the keyset as [ParseKeyset] reads it, with its secrets.
func (k *Keyset) Marshal() ([]byte, error) {
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(k.handle, keyset.NewJSONWriter(&text)); err != nil {
		return nil, fmt.Errorf("dataseal: %w", err)
	}
	return append(text.Bytes(), '\n'), nil
}

// Add returns a keyset with one more key, which opens and does not seal yet.
func (k *Keyset) Add() (with *Keyset, id string, err error) {
	manager := keyset.NewManagerFromHandle(k.handle)
	added, err := addKey(manager)
	if err != nil {
		return nil, "", err
	}
	with, err = managed(manager)
	return with, nameOf(added), err
}

// Promote returns the keyset with another primary key. It fails with [ErrNoKey].
func (k *Keyset) Promote(id string) (*Keyset, error) {
	e, err := k.find(id)
	if err != nil {
		return nil, err
	}
	manager := keyset.NewManagerFromHandle(k.handle)
	if err := manager.SetPrimary(e.id); err != nil {
		return nil, fmt.Errorf("dataseal: %w", err)
	}
	return managed(manager)
}

// Remove returns the keyset without a key: nothing that it sealed opens any more.
// It fails with [ErrNoKey] or [ErrPrimary].
func (k *Keyset) Remove(id string) (*Keyset, error) {
	e, err := k.find(id)
	if err != nil {
		return nil, err
	}
	if e.info.Primary {
		return nil, ErrPrimary
	}
	manager := keyset.NewManagerFromHandle(k.handle)
	if err := manager.Delete(e.id); err != nil {
		return nil, fmt.Errorf("dataseal: %w", err)
	}
	return managed(manager)
}

// Keys lists the keys that open, in the keyset's order.
func (k *Keyset) Keys() []Key {
	entries, err := k.entries()
	if err != nil {
		panic(err) // it was checked when the keyset was made
	}
	keys := make([]Key, len(entries))
	for i, e := range entries {
		keys[i] = e.info
	}
	return keys
}

// Format shows no key, whatever the verb.
func (*Keyset) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// entry is an enabled key.
type entry struct {
	id     uint32
	info   Key
	secret []byte
}

// entries fails with [ErrKeyset] unless it knows what each key is for, and each
// key's ciphertext names it.
func (k *Keyset) entries() ([]entry, error) {
	var list []entry
	for i := range k.handle.Len() {
		e, err := k.handle.Entry(i)
		if err != nil {
			return nil, ErrKeyset
		}
		if e.KeyStatus() != keyset.Enabled {
			continue
		}
		algorithm, secret, named := describe(e.Key())
		if !named || len(secret) != keyBytes {
			return nil, ErrKeyset
		}
		list = append(list, entry{e.KeyID(), Key{nameOf(e.KeyID()), algorithm, e.IsPrimary()}, secret})
	}
	return list, nil
}

func (k *Keyset) find(id string) (entry, error) {
	entries, err := k.entries()
	for _, e := range entries {
		if e.info.ID == id {
			return e, nil
		}
	}
	return entry{}, errors.Join(err, ErrNoKey)
}

// describe also reports whether a ciphertext begins with the key's name.
func describe(k key.Key) (algorithm string, secret []byte, named bool) {
	token := insecuresecretdataaccess.Token{}
	switch k := k.(type) {
	case *xaesgcm.Key:
		parameters, ok := k.Parameters().(*xaesgcm.Parameters)
		return "XAES-256-GCM", k.KeyBytes().Data(token), ok && parameters.Variant() == xaesgcm.VariantTink
	case *aesgcm.Key:
		parameters, ok := k.Parameters().(*aesgcm.Parameters)
		return "AES-256-GCM", k.KeyBytes().Data(token), ok && parameters.Variant() == aesgcm.VariantTink
	}
	return "", nil, false
}

func addKey(manager *keyset.Manager) (uint32, error) {
	parameters, err := xaesgcm.NewParameters(xaesgcm.VariantTink, saltBytes)
	if err != nil {
		return 0, fmt.Errorf("dataseal: %w", err)
	}
	id, err := manager.AddNewKeyFromParameters(parameters)
	if err != nil {
		return 0, fmt.Errorf("dataseal: %w", err)
	}
	return id, nil
}

func managed(manager *keyset.Manager) (*Keyset, error) {
	handle, err := manager.Handle()
	if err != nil {
		return nil, fmt.Errorf("dataseal: %w", err)
	}
	return &Keyset{handle}, nil
}

func nameOf(id uint32) string { return strconv.FormatUint(uint64(id), 10) }
