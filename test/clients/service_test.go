package clients_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

const (
	audience   = "latchkey"
	sealingKey = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" // the signing keys are in PostgreSQL, so that they can be rotated

	// A pair lives for twice the grace at least, and golang.org/x/oauth2 replaces an access token ten seconds before
	// its end: so it refreshes every five seconds here.
	grace          = 2 * time.Second
	accessTokenTTL = 15 * time.Second
)

// service is a running `api serve` on its own PostgreSQL.
type service struct {
	*testservice.Service
	t        *testing.T
	dir      string
	settings testservice.Env
}

// start starts a service, which must end well with the test.
func start(t *testing.T, more testservice.Env) *service {
	t.Helper()
	s := &service{t: t, dir: testservice.Place(t)}
	s.settings = settings(s.dir).With(more)
	s.Service = testservice.Start(t, s.dir, s.settings)
	t.Cleanup(s.Stop)
	return s
}

// settings are those of a service whose files are in a folder.
func settings(dir string) testservice.Env {
	return testservice.Env{
		"LATCHKEY_DATABASE_URL": "private", "LATCHKEY_VAR_DIR": filepath.Join(dir, "var"), "LATCHKEY_SERVICE_KEYS": "clients:" + testservice.Key, "LATCHKEY_AUDIENCE": audience,
		"LATCHKEY_KEY_ENCRYPTION_KEY": sealingKey, "LATCHKEY_ACCESS_TOKEN_TTL": accessTokenTTL.String(), "LATCHKEY_REFRESH_GRACE": grace.String(),
	}
}

// signIn makes a session, as a backend does after a login. It returns what the backend hands to its client.
func (s *service) signIn(subject string) string {
	s.t.Helper()
	status, body := s.Send(http.MethodPost, s.Internal+"/v1/sessions", testservice.Key, `{"subject":"`+subject+`","data":{}}`)
	if status != http.StatusCreated {
		s.t.Fatalf("create a session: %d %s", status, body)
	}
	return body
}

func (s *service) signInPair(subject string) testservice.Pair {
	s.t.Helper()
	return testservice.ParsePair(s.t, s.signIn(subject))
}

// revoke is RFC 7009.
func (s *service) revoke(token string) {
	s.t.Helper()
	if status, body := s.Send(http.MethodPost, s.Public+"/oauth2/revoke", "", url.Values{"token": {token}}); status != http.StatusOK {
		s.t.Fatalf("revoke: %d %s", status, body)
	}
}

// active asks the introspection endpoint.
func (s *service) active(token string) bool {
	s.t.Helper()
	status, body := s.Send(http.MethodPost, s.Internal+"/oauth2/introspect", testservice.Key, url.Values{"token": {token}})
	var answer struct {
		Active bool `json:"active"`
	}
	if err := json.Unmarshal([]byte(body), &answer); status != http.StatusOK || err != nil {
		s.t.Fatalf("introspect: %d %s (%v)", status, body, err)
	}
	return answer.Active
}

// rotateKeys has a new key sign at once.
func (s *service) rotateKeys() {
	s.t.Helper()
	testservice.Run(s.t, s.dir, s.settings, "keys", "rotate", "--now")
}

// need fails without a program: nothing is skipped, as a client that was not tried does not count.
func need(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%s is not installed", name)
		}
	}
}

// patience is for programs that install, build or drive a browser, on a machine that has other things to do.
const patience = 5 * time.Minute

// run runs a program to its end. It must end well.
func run(t *testing.T, dir string, environment []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience+2**faults)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, environment, time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(append([]string{name}, args...), " "), err, out)
	}
	return string(out)
}
