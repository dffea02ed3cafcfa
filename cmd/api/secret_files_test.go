package main_test

import (
	"net/http"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
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
		want := file + " has mode 0620: other users may write it; only its owner may (chmod 600 " + file + ")\n"
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

	url := writeFile(t, configured["LATCHKEY_DATABASE_URL"]+"\n", dir, "database-url")
	if err := os.Chmod(url, 0o644); err != nil {
		t.Fatal(err)
	}
	secret := writeFile(t, "whsec_"+strings.Repeat("A", 44), dir, "crm-secret")
	endpoints := writeFile(t, `[{"name":"crm","url":"http://localhost:9/x","secret_file":"`+secret+`"}]`, dir, "events.json")
	for _, file := range []string{secret, endpoints} {
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := launch(t, t.TempDir(), configured.With(env{
		"LATCHKEY_EVENTS_FILE": endpoints, "LATCHKEY_DATABASE_URL": "", "LATCHKEY_DATABASE_URL_FILE": url, "LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0",
	}))
	s.Await("database", func() bool { return strings.Contains(s.Stderr.String(), "the database is not available yet") })
	for _, file := range []string{signing, service, keyset, url, secret, endpoints} {
		if want := `"msg":"every user of this machine can read a secret","file":"` + file + `","mode":"0644"`; !strings.Contains(s.Stderr.String(), want) {
			t.Errorf("no word of %s: %s", file, s.Stderr)
		}
	}
}

// A secret in a file excludes the line break at its end, and an error about it names the variable that
// names the file.
func TestSecretsInFiles(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2-hunter2-hunter2-hunter2"
	dir, database := t.TempDir(), testdb.URL(t)
	good, bad, empty := writeFile(t, database+"\n", dir, "url"), writeFile(t, secret, dir, "bad"), writeFile(t, "\n", dir, "empty")
	if out := mustLine(t, env{"LATCHKEY_DATABASE_URL_FILE": good}, "sessions", "list", "--subject=ada"); strings.Contains(out, secret) {
		t.Error(out)
	}
	for _, c := range []struct {
		settings env
		want     string
	}{
		{env{"LATCHKEY_DATABASE_URL_FILE": filepath.Join(dir, "none")}, "LATCHKEY_DATABASE_URL_FILE: open " + filepath.Join(dir, "none") + ": no such file or directory"},
		{env{"LATCHKEY_DATABASE_URL_FILE": bad}, "LATCHKEY_DATABASE_URL_FILE is not an address of a PostgreSQL database"},
		{env{"LATCHKEY_DATABASE_URL_FILE": empty}, "LATCHKEY_DATABASE_URL_FILE is a file without content; it must be one that holds what LATCHKEY_DATABASE_URL would"},
		{env{"LATCHKEY_DATABASE_URL_FILE": good, "LATCHKEY_DATABASE_URL": database}, "LATCHKEY_DATABASE_URL and LATCHKEY_DATABASE_URL_FILE are both set; only one of them may be"},
		{env{"LATCHKEY_DATABASE_URL": database, "LATCHKEY_KEY_ENCRYPTION_KEY_FILE": bad}, "LATCHKEY_KEY_ENCRYPTION_KEY_FILE is not usable"},
		{env{"LATCHKEY_DATABASE_URL": database, "LATCHKEY_COMPAS_SIGNING_KEY_FILE": empty}, "LATCHKEY_COMPAS_SIGNING_KEY_FILE is a file without content"},
		{env{"LATCHKEY_DATABASE_URL": database, "LATCHKEY_LEAK_WEBHOOK_SECRET_FILE": bad}, "LATCHKEY_LEAK_WEBHOOK_SECRET_FILE is not usable"},
		{env{"LATCHKEY_ISSUER_FILE": good}, "LATCHKEY_ISSUER_FILE is not a setting"},
	} {
		r := api(t, c.settings, "serve")
		if r.code == 0 || !strings.HasPrefix(r.stderr, "api: "+c.want) || strings.Contains(r.stderr, secret) {
			t.Errorf("%v: exit code %d: %s", c.settings, r.code, r.stderr)
		}
	}
}

// Passwords and keys are replaced while the service runs.
func TestSecretsThatChange(t *testing.T) {
	t.Parallel()
	server := testdb.NewServer(t)
	dir := t.TempDir()
	url, keys := writeFile(t, server.URL(), dir, "url"), writeFile(t, "one:1"+testKey+",two:2"+testKey, dir, "keys")
	settings := configure(t, server.URL()).With(env{
		"LATCHKEY_DATABASE_URL": "", "LATCHKEY_DATABASE_URL_FILE": url, "LATCHKEY_SERVICE_KEYS": "", "LATCHKEY_SERVICE_KEYS_FILE": keys,
	})
	s := start(t, dir, settings)
	create := func(key string) int {
		code, _ := s.Send(http.MethodPost, s.Internal+"/v1/sessions", key+testKey, `{"data":{}}`)
		return code
	}

	operator, err := server.Pool().Acquire(t.Context()) // one that is there stays good
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Release()
	for _, statement := range []string{
		`DO $$ BEGIN EXECUTE format('ALTER ROLE %I PASSWORD %L', current_user, 'another-password'); END $$`,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'latchkey%'`,
	} {
		if _, err := operator.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	s.Await("end of the old password", func() bool { return create("1") == http.StatusServiceUnavailable })
	writeFile(t, changeURL(t, server.URL(), func(u *neturl.URL) { u.User = neturl.UserPassword(u.User.Username(), "another-password") })+"\n", url)
	s.Await("new password", func() bool { return create("1") == http.StatusCreated })

	writeFile(t, "two:2"+testKey+":introspect,three:3"+testKey, keys)
	s.Signal(syscall.SIGHUP)
	s.Await("new key", func() bool { return create("3") == http.StatusCreated })
	if one, two := create("1"), create("2"); one != http.StatusUnauthorized || two != http.StatusForbidden {
		t.Errorf("the key that was taken out is answered %d, the one that has lost a right %d", one, two)
	}
	writeFile(t, "nonsense", keys)
	s.Signal(syscall.SIGHUP)
	s.Await("line about it", func() bool { return strings.Contains(s.Stderr.String(), "the service keys cannot be read again") })
	if code := create("3"); code != http.StatusCreated {
		t.Errorf("after a file without keys: %d", code)
	}
	if said := s.Stderr.String(); !strings.Contains(said, `"the service keys were read again","names":["two","three"]`) || strings.Contains(said, testKey) {
		t.Errorf("said:\n%s", said)
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
