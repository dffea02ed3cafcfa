package testservice

import (
	"path/filepath"
	"testing"
)

// Key is the service key that [OnDatabase] sets.
const Key = "0123456789abcdef0123456789abcdef"

// OnDatabase returns the settings of a service on a database, with keys as an operator makes them.
func OnDatabase(t *testing.T, database string) Env {
	t.Helper()
	dir := t.TempDir()
	Run(t, dir, nil, "keys", "init", "--dir", dir)
	return WithKeys(dir, database)
}

// WithKeys returns the settings of a service on a database, with the keys that `keys init` has made in a folder.
func WithKeys(dir, database string) Env {
	return Env{
		"LATCHKEY_DATABASE_URL": database, "LATCHKEY_SIGNING_KEYS_FILE": filepath.Join(dir, "signing-keys.json"),
		"LATCHKEY_SERVICE_KEYS": "backend:" + Key, "LATCHKEY_ISSUER": "https://login.example.com",
	}
}
