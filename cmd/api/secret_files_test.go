package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every file with a secret is refused where others may write it, and reported where others may read it.
func TestFilesWithSecrets(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	mustLine(t, nil, "keys", "init", "--dir", dir)
	keyset := filepath.Join(dir, "data-keyset.json")
	mustLine(t, nil, "data", "keys", "generate", "--file", keyset)
	signing, service := filepath.Join(dir, "signing-keys.json"), filepath.Join(dir, "service-key")
	configured := env{
		"LATCHKEY_DATABASE_URL": "postgres://127.0.0.1:1/none", "LATCHKEY_SIGNING_KEYS_FILE": signing, "LATCHKEY_SERVICE_KEYS_FILE": service, "LATCHKEY_DATA_ENCRYPTION_KEYSET_FILE": keyset,
	}
	commands := map[string][][]string{
		signing: {{"serve"}, {"keys", "list"}, {"keys", "generate", "--file", signing}},
		service: {{"serve"}, {"keys", "init", "--dir", dir, "--show"}},
		keyset:  {{"serve"}, {"data", "keys", "list"}, {"data", "keys", "generate", "--file", keyset}},
	}
	for file, commands := range commands {
		if err := os.Chmod(file, 0o620); err != nil {
			t.Fatal(err)
		}
		want := file + " has mode 0620: somebody else may write it; its owner alone may (chmod 600 " + file + ")\n"
		for _, args := range commands {
			r := api(t, configured, args...)
			if r.code != 1 || r.stdout != "" || !strings.HasSuffix(r.stderr, want) {
				t.Errorf("%v: exit code %d: %s%s", args, r.code, r.stdout, r.stderr)
			}
		}
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}

	r := api(t, configured, "serve")
	for file := range commands {
		if want := `"msg":"every user of this machine may read a secret","file":"` + file + `","mode":"0644"`; !strings.Contains(r.stderr, want) {
			t.Errorf("no word of %s: %s", file, r.stderr)
		}
	}
}

// libpq's variables are about other servers than the private one.
func TestPrivateDatabaseObeysNoVariable(t *testing.T) {
	t.Parallel()
	dir := place(t)
	nonsense := env{}
	for _, name := range []string{
		"PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE", "PGOPTIONS", "PGAPPNAME", "PGTZ",
		"PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGSSLCERTMODE", "PGSSLNEGOTIATION", "PGCONNECT_TIMEOUT", "PGTARGETSESSIONATTRS",
		"PGCHANNELBINDING", "PGREQUIREAUTH", "PGMINPROTOCOLVERSION", "PGMAXPROTOCOLVERSION", "PGDATA",
	} {
		nonsense[name] = "nonsense"
	}

	s := start(t, dir, fixedIssuer.With(nonsense))
	pair := s.CreateSession(serviceKey(t, dir), `{"subject":"ada","data":{}}`)
	if code := s.Current(pair.AccessToken); code != http.StatusOK {
		t.Errorf("the session answers %d", code)
	}
	if out := mustAPI(t, dir, nonsense, "sessions", "list", "--subject", "ada"); !strings.Contains(out, pair.Session.ID) {
		t.Errorf("sessions list: %s", out)
	}
}
