package observability_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

const root = "../.." // of the repository

func TestMain(m *testing.M) { os.Exit(testservice.Main(func() int { return testdb.Main(m) })) }

// service is one that runs.
type service struct{ *testservice.Service }

// start runs the service on its own database until the test ends.
func start(t *testing.T) service {
	t.Helper()
	dir := t.TempDir()
	endpoints := filepath.Join(dir, "events.json")
	if err := os.WriteFile(endpoints, []byte(`[{"name":"crm","url":"http://localhost:1","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","types":["session.claims_changed"]}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := testservice.OnDatabase(t, testdb.URL(t)).With(testservice.Env{"LATCHKEY_AUDIT_LOG": filepath.Join(dir, "audit.log"), "LATCHKEY_EVENTS_FILE": endpoints})
	s := service{testservice.Start(t, t.TempDir(), settings)}
	t.Cleanup(s.Stop)
	return s
}

// use takes a session through its life, so that there is something of everything.
func (s service) use(t *testing.T) {
	t.Helper()
	pair := s.CreateSession(testservice.Key, `{"subject":"ada","data":{}}`)
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {pair.RefreshToken}}
	for _, step := range []struct {
		method, target, key string
		body                any
		want                int
	}{
		{"GET", s.Public + "/v1/me/sessions/current", pair.AccessToken, nil, http.StatusOK},
		{"GET", s.Public + "/v1/me/sessions/current", "nonsense", nil, http.StatusUnauthorized},
		{"POST", s.Public + "/oauth2/token", "", form, http.StatusOK},
		{"POST", s.Public + "/oauth2/token", "", form, http.StatusOK},
		{"DELETE", s.Internal + "/v1/sessions?subject=ada", testservice.Key, nil, http.StatusOK},
	} {
		if status, body := s.Send(step.method, step.target, step.key, step.body); status != step.want {
			t.Fatalf("%s %s: %d, want %d: %s", step.method, step.target, status, step.want, body)
		}
	}
}

// scrape waits until everything that is learnt in the background is present.
func (s service) scrape(t *testing.T) []byte {
	t.Helper()
	var text string
	s.Await("facts of the database", func() bool {
		var status int
		if status, text = s.Send("GET", s.Internal+"/metrics", "", nil); status != http.StatusOK {
			t.Fatalf("/metrics: %d", status)
		}
		return strings.Contains(text, "\nlatchkey_signing_key_since_timestamp_seconds ")
	})
	return []byte(text)
}
