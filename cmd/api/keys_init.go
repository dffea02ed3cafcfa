package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/latchkey-sessions/latchkey/internal/secretfile"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	signingKeysName = "signing-keys.json"
	serviceKeyFile  = "service-key"

	defaultAlgorithm = "EdDSA"
)

type keysInitCmd struct {
	VarDir text `name:"var-dir" aliases:"dir" group:"database" placeholder:"DIR" default:"./var" help:"Where to make them: signing-keys.json and service-key (--dir is the same)."`
	Show   bool `help:"Print the service key, and nothing else, on standard output."`
}

// Run makes the keys and says on standard error which were there.
func (c *keysInitCmd) Run(a *app) error {
	files, err := initKeys(string(c.VarDir))
	if err != nil {
		return err
	}
	for _, file := range files {
		did := "kept"
		if file.made {
			did = "made"
		}
		if _, err := fmt.Fprintln(a.stderr, did, file.path); err != nil {
			return err
		}
	}
	if !c.Show {
		return nil
	}
	key, err := secretfile.Read(filepath.Join(string(c.VarDir), serviceKeyFile))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, strings.TrimSpace(string(key)))
	return err
}

// keyFile is a file with keys, and whether it was made just now.
type keyFile struct {
	path string
	made bool
}

// initKeys makes a signing key and a service key in dir, unless they are there.
func initKeys(dir string) ([]keyFile, error) {
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("make a folder for keys: %w", err)
	}
	var files []keyFile
	for _, file := range []struct {
		name string
		make func() (string, error)
	}{
		{signingKeysName, newSigningKeys},
		{serviceKeyFile, newServiceKey},
	} {
		path := filepath.Join(dir, file.name)
		made, err := createOnce(path, file.make)
		if err != nil {
			return nil, fmt.Errorf("make a key: %w", err)
		}
		files = append(files, keyFile{path, made})
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
	err = createSecret(path, []byte(secret))
	if errors.Is(err, fs.ErrExist) { // another process made it meanwhile
		return false, nil
	}
	return err == nil, err
}

func newSigningKeys() (string, error) {
	key, _, err := tokens.GenerateKey(defaultAlgorithm)
	if err != nil {
		return "", err
	}
	set, err := tokens.AppendKey("", key)
	return string(set), err
}

// newServiceKey returns a secret of 32 characters of base32: 160 bits.
func newServiceKey() (string, error) {
	return strings.ToLower(rand.Text() + rand.Text())[:minServiceSecret] + "\n", nil
}
