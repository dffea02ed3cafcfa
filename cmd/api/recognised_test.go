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
			`the audience "latchkey" \(LATCHKEY_AUDIENCE or LATCHKEY_AUDIENCES_ACCEPTED\), in use since \S+Z, of 1 live session\(s\)`,
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
	line := regexp.MustCompile(`^api: live sessions would not be recognised: this configuration lacks ` + want + `; give it back, or set LATCHKEY_ACCEPT_SIGN_OUT=true once to start all the same, which signs those users out\n$`)
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

// What nothing live was made with, and what is still accepted, may change.
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
