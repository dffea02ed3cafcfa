package main_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// A service started during an outage is alive and not ready, and becomes ready once the database is available.
func TestServeAwaitsItsDatabase(t *testing.T) {
	t.Parallel()
	server := testdb.NewServer(t)
	server.Stop()
	public, internal := testservice.FreeAddress(t), testservice.FreeAddress(t)
	s := launch(t, t.TempDir(), configure(t, server.URL()).With(env{"LATCHKEY_PUBLIC_ADDR": public, "LATCHKEY_INTERNAL_ADDR": internal}))
	s.Await("a line about it", func() bool { return strings.Contains(s.Stderr.String(), "the database is not available yet") })
	for url, want := range map[string]int{
		"http://" + public + "/livez":         http.StatusOK,
		"http://" + internal + "/livez":       http.StatusOK,
		"http://" + internal + "/readyz":      http.StatusServiceUnavailable,
		"http://" + public + "/oauth2/token":  http.StatusServiceUnavailable,
		"http://" + internal + "/v1/sessions": http.StatusServiceUnavailable,
	} {
		code, answer := s.Send(http.MethodGet, url, testKey, nil)
		if code != want || strings.Contains(url, "/oauth2/") != strings.Contains(answer, `"error":"temporarily_unavailable"`) {
			t.Errorf("%s: %d %s, want %d", url, code, answer, want)
		}
	}
	if code, _ := s.Send(http.MethodHead, "http://"+public+"/livez", "", nil); code != http.StatusOK {
		t.Errorf("HEAD /livez: %d", code)
	}
	health := func(address string) result { return line(env{"LATCHKEY_INTERNAL_ADDR": address}, "health") }
	if r := health(internal); r.code != 1 || r.stderr != "api: the service is not ready: The service is unavailable at the moment.\n" {
		t.Errorf("health: exit code %d: %s", r.code, r.stderr)
	}
	server.Start()
	s.Await("readiness", func() bool {
		code, _ := s.Send(http.MethodGet, "http://"+internal+"/readyz", "", nil)
		return code == http.StatusOK
	})
	if r := health(strings.Replace(internal, "127.0.0.1", "", 1)); r.code != 0 || r.stdout != "ready\n" {
		t.Errorf("health: exit code %d: %s", r.code, r.stderr)
	}
	if r := health(testservice.FreeAddress(t)); r.code != 1 || !strings.HasPrefix(r.stderr, "api: the service does not answer: ") {
		t.Errorf("health of nothing: exit code %d: %s", r.code, r.stderr)
	}
	if code, answer := s.Send(http.MethodPost, "http://"+internal+"/v1/sessions", testKey, `{"data":{}}`); code != http.StatusCreated {
		t.Errorf("a session: %d %s", code, answer)
	}
	if said := s.Stderr.String(); strings.Count(said, "the database is not available yet") > 5 || !strings.Contains(said, `"the database is available"`) {
		t.Errorf("said:\n%s", said)
	}
}

func TestServeStopsWhileItAwaitsItsDatabase(t *testing.T) {
	t.Parallel()
	url := "postgres://u:secret-password@" + testservice.FreeAddress(t) + "/x"
	s := launch(t, t.TempDir(), configure(t, testdb.URL(t)).With(env{"LATCHKEY_DATABASE_URL": url, "LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"}))
	s.Await("a line about it", func() bool { return strings.Contains(s.Stderr.String(), "connection refused") })
	if code := s.End(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(s.Stderr.String(), "secret-password") {
		t.Errorf("said:\n%s", s.Stderr)
	}
}
