package keyfiles

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// The files that [Init] makes, and what it makes the signing key for.
const (
	SigningKeys = "signing-keys.json"
	ServiceKey  = "service-key"

	Algorithm = "EdDSA"
)

// File is a file with keys, and whether it was made just now.
type File struct {
	Path string
	Made bool
}

// Init makes a signing key and a service key in dir, unless they are there.
func Init(dir string) ([]File, error) {
	if err := MakeDir(dir); err != nil {
		return nil, fmt.Errorf("make a folder for keys: %w", err)
	}
	var files []File
	for _, file := range []struct {
		name string
		make func() (string, error)
	}{
		{SigningKeys, newSigningKeys},
		{ServiceKey, newServiceKey},
	} {
		path := filepath.Join(dir, file.name)
		made, err := createOnce(path, file.make)
		if err != nil {
			return nil, fmt.Errorf("make a key: %w", err)
		}
		files = append(files, File{path, made})
	}
	return files, nil
}

// createOnce makes a file's content only where there is no such file.
func createOnce(path string, content func() (string, error)) (made bool, err error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	secret, err := content()
	if err != nil {
		return false, err
	}
	err = Create(path, []byte(secret))
	if errors.Is(err, fs.ErrExist) { // another process made it meanwhile
		return false, nil
	}
	return err == nil, err
}

func newSigningKeys() (string, error) {
	key, _, err := tokens.GenerateKey(Algorithm)
	if err != nil {
		return "", err
	}
	set, err := tokens.AppendKey("", key)
	return string(set), err
}

// newServiceKey returns a secret of 32 characters of base32: 160 bits.
func newServiceKey() (string, error) {
	return strings.ToLower(rand.Text() + rand.Text())[:settings.MinServiceSecret] + "\n", nil
}
