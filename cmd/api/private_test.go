package main_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A forgotten address of the database does not become another, empty database.
func TestForgottenDatabase(t *testing.T) {
	t.Parallel()
	const (
		secret = "hunter2-hunter2-hunter2-hunter2-hunter2"
		empty  = " is empty; it must be a libpq URL such as postgres://user:password@host:5432/database?sslmode=verify-full, or private for a database below LATCHKEY_VAR_DIR"
	)
	set := func(name string) string {
		return name + " is set and LATCHKEY_DATABASE_URL is not: set it to the PostgreSQL that has the sessions, or to private for a database below LATCHKEY_VAR_DIR"
	}
	production := env{"DATABSE_URL": "postgres://db.example.com/x", "LATCHKEY_ISSUER": "https://login.example.com", "LATCHKEY_SERVICE_KEYS": "a:" + secret}
	type attempt struct {
		settings env
		args     string
		code     int
		want     string
	}
	attempts := []attempt{
		{nil, "serve --issuer=https://login.example.com", 2, set("LATCHKEY_ISSUER")},
		{env{"LATCHKEY_TRUSTED_PROXIES": "10.0.0.0/8"}, "", 2, set("LATCHKEY_TRUSTED_PROXIES")},
		{env{"LATCHKEY_SERVICE_KEYS_FILE": "keys/service-key"}, "migrate", 2, set("LATCHKEY_SERVICE_KEYS_FILE")},
		{env{"LATCHKEY_SIGNING_KEYS_FILE": "keys/signing-keys.json"}, "migrate status", 2, set("LATCHKEY_SIGNING_KEYS_FILE")},
		{env{"LATCHKEY_KEY_ENCRYPTION_KEY": sealingKey("a")}, "keys rotate", 2, set("LATCHKEY_KEY_ENCRYPTION_KEY")},
		{env{"LATCHKEY_DATA_ENCRYPTION_KEYSET": dataKeyset(t)}, "data reencrypt", 2, set("LATCHKEY_DATA_ENCRYPTION_KEYSET")},
		{env{"LATCHKEY_REFRESH_GRACE": "0s", "LATCHKEY_ISSUER": "https://login.example.com"}, "serve", 2, "LATCHKEY_REFRESH_GRACE is 0s; it must be a duration above 0, such as 15s"},

		// The variable is set, but empty.
		{env{"LATCHKEY_DATABASE_URL": " "}, "serve", 2, "LATCHKEY_DATABASE_URL" + empty},
		{env{"LATCHKEY_DATABASE_URL": "\n"}, "migrate", 2, "LATCHKEY_DATABASE_URL" + empty},
		{nil, "migrate --database-url=", 2, "--database-url" + empty},
		{nil, "serve --database-url=", 2, "--database-url" + empty},

		// Nothing indicates that a database was forgotten, and there is none.
		{nil, "migrate", 1, "there is no database: LATCHKEY_DATABASE_URL is not set, and ./var holds none; with LATCHKEY_DATABASE_URL=private, api migrate makes one there"},
		{env{"LATCHKEY_ISSUER": "http://localhost:8080"}, "migrate status", 1, "there is no database: LATCHKEY_DATABASE_URL is not set, and ./var holds none; with LATCHKEY_DATABASE_URL=private, api migrate makes one there"},
		{production.With(env{"LATCHKEY_DATABASE_URL": "private"}), "cleanup", 1, "there is no database: LATCHKEY_DATABASE_URL is private, and ./var holds none; with LATCHKEY_DATABASE_URL=private, api migrate makes one there"},
	}
	for _, args := range []string{"", "serve", "migrate", "migrate status", "migrate down --yes", "cleanup", "sessions list --subject=ada", "sessions revoke --all --yes"} {
		attempts = append(attempts, attempt{production, args, 2, set("LATCHKEY_ISSUER")})
	}
	for _, a := range attempts {
		dir := t.TempDir()
		r := apiIn(t, dir, a.settings, strings.Fields(a.args)...)
		if r.code != a.code || r.stderr != "api: "+a.want+"\n" || r.stdout != "" {
			t.Errorf("%v, api %s: %v, want %s", a.settings, a.args, r, a.want)
		}
		if _, err := os.Stat(filepath.Join(dir, "var")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v, api %s: there is a folder for a database (%v)", a.settings, a.args, err)
		}
	}

	// Keys in a file have nothing to do with a database.
	dir := t.TempDir()
	mustAPI(t, dir, production, "keys", "init")
	mustAPI(t, dir, production.With(env{"LATCHKEY_SIGNING_KEYS_FILE": "var/signing-keys.json"}), "keys", "list")
}

// If the private database is intended, the settings of a deployment do not matter. An existing one is enough for migrate.
func TestPrivateDatabaseIsMeant(t *testing.T) {
	t.Parallel()
	dir := place(t)
	meant := env{"LATCHKEY_DATABASE_URL": "private", "LATCHKEY_ISSUER": "https://login.example.com", "LATCHKEY_TRUSTED_PROXIES": "10.0.0.0/8"}
	if out := mustAPI(t, dir, meant, "migrate"); !strings.Contains(out, "migrated 00001_") {
		t.Errorf("it made no database: %s", out)
	}
	if out := mustAPI(t, dir, nil, "migrate"); out != "the database schema is up to date\n" {
		t.Errorf("without a setting: %s", out)
	}
	start(t, dir, meant).Stop()
}

// Without LATCHKEY_ISSUER the issuer of a private database follows the port. One that was chosen does not: its setting was
// lost.
func TestPrivateDatabaseWantsItsIssuer(t *testing.T) {
	t.Parallel()
	dir := place(t)
	private := env{"LATCHKEY_DATABASE_URL": "private"}
	life := func(settings env) (said string) {
		s := start(t, dir, private.With(settings))
		s.CreateSession(serviceKey(t, dir), `{"data":{}}`)
		s.Stop()
		return s.Stderr.String()
	}
	life(env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0"})
	if said := life(env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0"}); !strings.Contains(said, "the issuer differs from that of live sessions") {
		t.Errorf("on another port it says: %s", said)
	}
	life(env{"LATCHKEY_ISSUER": "https://login.example.com", "LATCHKEY_ACCEPT_SIGN_OUT": "true"})
	addresses := env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"}
	if r := apiIn(t, dir, private.With(addresses), "serve"); r.code != 1 || !strings.Contains(r.stderr, `this configuration lacks the issuer "https://login.example.com" (LATCHKEY_ISSUER)`) {
		t.Errorf("without the issuer: %v", r)
	}
}
