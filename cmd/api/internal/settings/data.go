package settings

import (
	"errors"
	"fmt"

	"github.com/latchkey-sessions/latchkey/dataseal"
	"github.com/latchkey-sessions/latchkey/internal/secretfile"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Check checks that at most one of them is set.
func (d Data) Check() error {
	if d.DataEncryptionKeyset.Keyset != nil && d.DataEncryptionKeysetFile != "" {
		return WrongTogether("LATCHKEY_DATA_ENCRYPTION_KEYSET and LATCHKEY_DATA_ENCRYPTION_KEYSET_FILE are both set; only one of them may be")
	}
	return nil
}

// Required is [Data.Check] for a command that requires a keyset.
func (d Data) Required() error {
	if d.DataEncryptionKeyset.Keyset == nil && d.DataEncryptionKeysetFile == "" {
		return Wrong("LATCHKEY_DATA_ENCRYPTION_KEYSET", "not set", dataKeysetForm+"; or LATCHKEY_DATA_ENCRYPTION_KEYSET_FILE a file that holds one")
	}
	return d.Check()
}

// Keyset returns nil if data is not sealed.
func (d Data) Keyset() (*dataseal.Keyset, error) {
	if d.DataEncryptionKeysetFile == "" {
		return d.DataEncryptionKeyset.Keyset, nil
	}
	return ReadDataKeyset(string(d.DataEncryptionKeysetFile))
}

// Sealer returns nil if data is not sealed.
func (d Data) Sealer() (sessionstore.Sealer, error) {
	keys, err := d.Keyset()
	if err != nil || keys == nil {
		return nil, err
	}
	return dataseal.NewSealer(keys)
}

// ReadDataKeyset reads a file of keys that seal session data.
func ReadDataKeyset(file string) (*dataseal.Keyset, error) {
	content, err := secretfile.Read(file)
	if err != nil {
		return nil, fmt.Errorf("read the keyset: %w", err)
	}
	keys, err := dataseal.ParseKeyset(content)
	if errors.Is(err, dataseal.ErrKeyset) {
		return nil, fmt.Errorf("%s holds no usable keyset; it must hold %s", file, dataKeysetForm)
	}
	return keys, err
}
