package main_test

import (
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// A configuration that live sessions are not recognised with does not start, but on demand, and then again without.
func TestServeRefusesToSignOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(other env) env
		want   string
	}{
		"other keys": {func(other env) env {
			return env{"LATCHKEY_SIGNING_KEYS_FILE": other["LATCHKEY_SIGNING_KEYS_FILE"]}
		}, `the signing key "[^".]+" \(LATCHKEY_SIGNING_KEYS_FILE\), in use since \S+Z, of 1 live session\(s\)`},
		"another issuer": {
			func(env) env { return env{"LATCHKEY_ISSUER": "https://other.example.com"} },
			`the issuer "https://login.example.com" \(LATCHKEY_ISSUER\), in use since \S+Z, of 1 live session\(s\)`,
		},
		"another audience": {
			func(env) env { return env{"LATCHKEY_AUDIENCE": "shop"} },
			`the audience "latchkey" \(LATCHKEY_AUDIENCE, LATCHKEY_AUDIENCES_ACCEPTED or LATCHKEY_CLIENTS_FILE\), in use since \S+Z, of 1 live session\(s\)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := configure(t, testdb.URL(t))
			s := start(t, t.TempDir(), settings)
			s.CreateSession(testKey, `{"data":{}}`)
			s.End(syscall.SIGTERM)
			checkRefusesToSignOut(t, settings.With(c.change(configure(t, settings["LATCHKEY_DATABASE_URL"]))), c.want)
		})
	}
}

func checkRefusesToSignOut(t *testing.T, changed env, want string) {
	t.Helper()
	addresses := env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"}
	r := api(t, changed.With(addresses), "serve")
	line := regexp.MustCompile(`(?m)^api: live sessions would not be recognised: this configuration lacks ` + want + `; restore it, or set LATCHKEY_ACCEPT_SIGN_OUT=true once to start anyway, which signs those users out\n\z`)
	if r.code != 1 || !line.MatchString(r.stderr) {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	s := start(t, t.TempDir(), changed.With(env{"LATCHKEY_ACCEPT_SIGN_OUT": "true"}))
	if !strings.Contains(s.Stderr.String(), "LATCHKEY_ACCEPT_SIGN_OUT is set: live sessions are not recognised") {
		t.Errorf("the log does not tell:\n%s", s.Stderr)
	}
	s.End(syscall.SIGTERM)
	start(t, t.TempDir(), changed)
}

func TestServeWantsTheKeysOfTheDatabase(t *testing.T) {
	t.Parallel()
	settings := keysInDatabase(t)
	s := start(t, t.TempDir(), settings)
	s.CreateSession(testKey, `{"data":{}}`)
	s.End(syscall.SIGTERM)
	file := configure(t, settings["LATCHKEY_DATABASE_URL"])["LATCHKEY_SIGNING_KEYS_FILE"]
	checkRefusesToSignOut(t, settings.With(env{"LATCHKEY_KEY_ENCRYPTION_KEY": "", "LATCHKEY_SIGNING_KEYS_FILE": file}),
		`the signing key "[^"]+" \(LATCHKEY_KEY_ENCRYPTION_KEY: the key is in the database\), in use since \S+Z, of 1 live session\(s\)`)
}

// A setting with which no live session was made, or whose old value is still accepted, may change.
func TestServeStartsWithOtherSettings(t *testing.T) {
	t.Parallel()
	settings := configure(t, testdb.URL(t))
	start(t, t.TempDir(), settings).End(syscall.SIGTERM)
	settings["LATCHKEY_ISSUER"] = "https://other.example.com"
	s := start(t, t.TempDir(), settings)
	pair := s.CreateSession(testKey, `{"data":{}}`)

	beside := start(t, t.TempDir(), settings.With(env{"LATCHKEY_AUDIENCE": "shop", "LATCHKEY_AUDIENCES_ACCEPTED": "latchkey"}))
	if code := beside.Current(pair.AccessToken); code != http.StatusOK {
		t.Errorf("a session answers %d", code)
	}
}

// A client removed from the file has sessions whose audience no other client has: no
// refresh gives them another one.
func TestServeWantsItsClients(t *testing.T) {
	t.Parallel()
	settings := configure(t, testdb.URL(t))
	s := start(t, t.TempDir(), settings.With(env{"LATCHKEY_CLIENTS_FILE": writeFile(t, `[{"client_id":"agent","audiences":["https://mcp.example.com"]}]`, t.TempDir(), "clients.json")}))
	s.CreateSession(testKey, `{"client_id":"agent"}`)
	s.End(syscall.SIGTERM)
	execute(t, settings["LATCHKEY_DATABASE_URL"], `UPDATE "sessionStoreToken" SET "accessExpiresAt" = now()`)
	checkRefusesToSignOut(t, settings,
		`the audience "https://mcp.example.com" \(LATCHKEY_AUDIENCE, LATCHKEY_AUDIENCES_ACCEPTED or LATCHKEY_CLIENTS_FILE\), in use since \S+Z, of 1 live session\(s\)`)
}

// If another client accepts one of its audiences, its sessions continue, and the log reports
// it.
func TestServeWithoutAClient(t *testing.T) {
	t.Parallel()
	settings := configure(t, testdb.URL(t))
	clients := func(content string) env {
		return settings.With(env{"LATCHKEY_CLIENTS_FILE": writeFile(t, content, t.TempDir(), "clients.json")})
	}
	s := start(t, t.TempDir(), clients(`[{"client_id":"agent","audiences":["https://mcp.example.com","https://files.example.com"]},{"client_id":"kiosk"}]`))
	agent := s.CreateSession(testKey, `{"client_id":"agent"}`)
	s.CreateSession(testKey, `{"client_id":"kiosk"}`)
	s.End(syscall.SIGTERM)
	s = start(t, t.TempDir(), clients(`[{"client_id":"robot","audiences":["https://files.example.com"]}]`))
	if code := s.Current(agent.AccessToken); code != http.StatusOK {
		t.Errorf("a session of a client that is gone answers %d", code)
	}
	for _, client := range []string{"agent", "kiosk"} {
		if !strings.Contains(s.Stderr.String(), `the client \"`+client+`\" (LATCHKEY_CLIENT_ID or LATCHKEY_CLIENTS_FILE)`) {
			t.Errorf("the log does not tell of the client %s:\n%s", client, s.Stderr)
		}
	}
}

// A session that Compas made waits for its first refresh when its access token has expired.
func TestServeWantsTheKeyOfCompas(t *testing.T) {
	t.Parallel()
	settings := configure(t, testdb.URL(t))
	start(t, t.TempDir(), settings.With(env{"LATCHKEY_COMPAS_SIGNING_KEY": "a key that Compas had before"})).End(syscall.SIGTERM)
	execute(t, settings["LATCHKEY_DATABASE_URL"], `INSERT INTO "sessionStore" ("checksum", "data") VALUES ('d3ad10cc', '{}')`)
	execute(t, settings["LATCHKEY_DATABASE_URL"], `INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt") SELECT "id", now() - interval '1 hour', now() + interval '1 day' FROM "sessionStore"`)
	checkRefusesToSignOut(t, settings,
		`the compas key "[^"]+" \(LATCHKEY_COMPAS_SIGNING_KEY\), in use since \S+Z, of 1 live session\(s\)`)
}

// A key of sealed data may be needed by old sessions alone.
func TestServeWantsOldDataKeys(t *testing.T) {
	t.Parallel()
	settings := configure(t, testdb.URL(t))
	dir := t.TempDir()
	keyset := func(keyset string) env { return settings.With(env{"LATCHKEY_DATA_ENCRYPTION_KEYSET": keyset}) }
	old, newer := dataKeyset(t), dataKeyset(t)
	s := start(t, dir, keyset(old))
	s.CreateSession(testKey, `{"data":{}}`)
	s.End(syscall.SIGTERM)
	// Many newer ones have other data.
	execute(t, settings["LATCHKEY_DATABASE_URL"], `INSERT INTO "sessionStore" ("id", "checksum", "data") SELECT ('ffffffff-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, '', '{}' FROM generate_series(1, 20) n`)
	checkRefusesToSignOut(t, keyset(newer),
		`the data key "[^"]+" \(LATCHKEY_DATA_ENCRYPTION_KEYSET: their data cannot be opened\), in use since \S+Z, of 1 live session\(s\)`)
}
