// Package keyfiles makes files that hold keys, and the folder for them. Only their owner may read them.
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

// The files that [Init] makes.
const (
	SigningKeys = "signing-keys.json"
	ServiceKey  = "service-key"
)

// Only its owner can use the folder for keys and data. If it is root's, others may pass through it, but not read
// it: PostgreSQL does not run as root, and its user must reach the database in it.
const (
	ownDirMode  = 0o700
	rootDirMode = 0o711
	secretMode  = 0o600
)

// MakeDir makes a folder for keys and data, which git ignores. An existing one keeps its mode.
func MakeDir(dir string) error {
	mode := fs.FileMode(ownDirMode)
	if os.Geteuid() == 0 {
		mode = rootDirMode
	}
	_, err := os.Stat(dir)
	if makeErr := os.MkdirAll(dir, mode); makeErr != nil || !errors.Is(err, fs.ErrNotExist) {
		return makeErr
	}
	return os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*\n"), secretMode)
}

// Create writes a new file that only its owner may read. It exists completely or not at all, and an
// existing file is never touched: the error is then fs.ErrExist.
func Create(path string, content []byte) error {
	return writeBeside(path, content, secretMode, os.Link)
}

// Replace rewrites a file. Its mode stays: it may be what lets the service read it.
func Replace(path string, content []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return writeBeside(path, content, info.Mode().Perm(), os.Rename)
}

// writeBeside writes a temporary file, makes sure that it is on the disk, and puts it in its place.
func writeBeside(path string, content []byte, mode fs.FileMode, put func(from, to string) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // 0600, O_EXCL
	if err != nil {
		return err
	}
	defer func() {
		if removeErr := os.Remove(file.Name()); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}()
	_, err = file.Write(content)
	if err := errors.Join(err, file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return put(file.Name(), path)
}

// File is a file with keys, and whether it was made just now.
type File struct {
	Path string
	Made bool
}

// Init makes a signing key of the algorithm and a service key in dir, unless they exist.
func Init(dir, algorithm string) ([]File, error) {
	if err := MakeDir(dir); err != nil {
		return nil, fmt.Errorf("make a folder for keys: %w", err)
	}
	var files []File
	for _, file := range []struct {
		name string
		make func() (string, error)
	}{
		{SigningKeys, func() (string, error) { return NewSigningKeys(algorithm) }},
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

// createOnce makes a file's content only if there is no such file.
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

// NewSigningKeys makes a JWK set with one key of the algorithm.
func NewSigningKeys(algorithm string) (string, error) {
	key, _, err := tokens.GenerateKey(algorithm)
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
