package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/latchkey-sessions/latchkey/dataseal"
	"github.com/latchkey-sessions/latchkey/internal/secretfile"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const dataKeysetForm = "a keyset as `api data keys generate` makes one: Tink's JSON, not encrypted, with keys for XAES-256-GCM or AES-256-GCM"

// dataSettings say what session data is sealed with, if it is.
type dataSettings struct {
	DataEncryptionKeyset     dataKeyset `name:"data-encryption-keyset" group:"tokens" placeholder:"JSON" help:"Seals session data in PostgreSQL with these keys (api data keys generate): the primary one seals, all open. By default data is not sealed."`
	DataEncryptionKeysetFile text       `name:"data-encryption-keyset-file" group:"tokens" placeholder:"FILE" help:"File that holds them, instead of DATA_ENCRYPTION_KEYSET."`
}

// dataKeyset is what session data is sealed with.
type dataKeyset struct{ *dataseal.Keyset }

// Decode reads a keyset. It never shows one.
func (k *dataKeyset) Decode(ctx *kong.DecodeContext) error {
	return decodeSecret(ctx, func(text string) (is, may string) {
		keys, err := dataseal.ParseKeyset([]byte(text))
		if err != nil {
			return "not usable", dataKeysetForm
		}
		k.Keyset = keys
		return "", ""
	})
}

func (d dataSettings) check() error {
	if d.DataEncryptionKeyset.Keyset != nil && d.DataEncryptionKeysetFile != "" {
		return wrongTogether("DATA_ENCRYPTION_KEYSET and DATA_ENCRYPTION_KEYSET_FILE are both set; one of them may be")
	}
	return nil
}

// required is check for a command that is of no use without a keyset.
func (d dataSettings) required() error {
	if d.DataEncryptionKeyset.Keyset == nil && d.DataEncryptionKeysetFile == "" {
		return wrong("DATA_ENCRYPTION_KEYSET", "not set", dataKeysetForm+"; or DATA_ENCRYPTION_KEYSET_FILE a file that holds one")
	}
	return d.check()
}

// keyset returns nil where data is not sealed.
func (d dataSettings) keyset() (*dataseal.Keyset, error) {
	if d.DataEncryptionKeysetFile == "" {
		return d.DataEncryptionKeyset.Keyset, nil
	}
	return readDataKeyset(string(d.DataEncryptionKeysetFile))
}

// sealer returns nil where data is not sealed.
func (d dataSettings) sealer() (sessionstore.Sealer, error) {
	keys, err := d.keyset()
	if err != nil || keys == nil {
		return nil, err
	}
	return dataseal.NewSealer(keys)
}

func readDataKeyset(file string) (*dataseal.Keyset, error) {
	content, err := secretfile.Read(file)
	if err != nil {
		return nil, fmt.Errorf("read the keyset: %w", err)
	}
	keys, err := dataseal.ParseKeyset(content)
	if errors.Is(err, dataseal.ErrKeyset) {
		return nil, fmt.Errorf("%s holds no usable keyset; it may hold %s", file, dataKeysetForm)
	}
	return keys, err
}

// checkSealer tells of sessions that cannot be answered for. The others can: no reason not to start.
func (s *service) checkSealer(ctx context.Context, store *sessionstore.Store, sealer sessionstore.Sealer) {
	if sealer != nil {
		s.log.InfoContext(ctx, "session data is sealed", "key", sealer.Key())
	}
	if err := store.CheckSealer(ctx); errors.As(err, new(*sessionstore.SealedError)) {
		s.log.ErrorContext(ctx, "sealed session data cannot be opened: DATA_ENCRYPTION_KEYSET lacks a key, and requests for such sessions are answered with 503", "error", err)
	}
}
