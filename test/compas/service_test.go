package compas_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// service is a running `api serve` on the database of Compas.
type service struct {
	*testservice.Service
	t        *testing.T
	database testservice.Env
}

// migrate is the one command of a take-over.
func (c *compas) migrate() {
	c.t.Helper()
	testservice.Run(c.t, c.t.TempDir(), testservice.Env{"LATCHKEY_DATABASE_URL": c.url}, "migrate")
}

// startService serves what Compas left, and must end well with the test.
func (c *compas) startService(more testservice.Env) *service {
	c.t.Helper()
	settings := testservice.OnDatabase(c.t, c.url).With(testservice.Env{"LATCHKEY_COMPAS_SIGNING_KEY": signingKey}).With(more)
	s := &service{testservice.Start(c.t, c.t.TempDir(), settings), c.t, testservice.Env{"LATCHKEY_DATABASE_URL": c.url}}
	c.t.Cleanup(s.Stop)
	return s
}

// tokens is a token response.
type tokens struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	ExpiresIn int    `json:"expires_in"`
	Error     string `json:"error"`
}

func (s *service) refresh(token string) (status int, answer tokens) {
	s.t.Helper()
	status, body := s.Refresh(token)
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		s.t.Errorf("a refresh is answered with %d %s", status, body)
	}
	return status, answer
}

func (s *service) mustRefresh(token string) tokens {
	s.t.Helper()
	status, answer := s.refresh(token)
	if status != http.StatusOK {
		s.t.Fatalf("a refresh is answered with %d %s", status, answer.Error)
	}
	return answer
}

// introspection is RFC 7662 §2.2 with the session.
type introspection struct {
	Active  bool   `json:"active"`
	Exp     *int64 `json:"exp"`
	Sid     string `json:"sid"`
	Session struct {
		ID       string          `json:"id"`
		Data     json.RawMessage `json:"data"`
		Checksum string          `json:"checksum"`
	} `json:"session"`
}

func (s *service) introspect(token string) (i introspection) {
	s.t.Helper()
	status, body := s.Send(http.MethodPost, s.Internal+"/oauth2/introspect", testservice.Key, url.Values{"token": {token}})
	if err := json.Unmarshal([]byte(body), &i); status != http.StatusOK || err != nil {
		s.t.Fatalf("introspect: %d %s (%v)", status, body, err)
	}
	return i
}

// cleanup is the command. It must end well.
func (s *service) cleanup() {
	s.t.Helper()
	s.t.Log(testservice.Run(s.t, s.t.TempDir(), s.database, "cleanup"))
}
