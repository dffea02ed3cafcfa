package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAccessLog(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	s.internal(t, "GET", "/v1/sessions/"+session.id, header("X-Request-Id", "abc"), from("203.0.113.7:4711")).want(t, 200)
	line := s.log.last(t)
	for _, varies := range []string{"time", "duration_ms", "bytes"} {
		if line[varies] == nil {
			t.Errorf("no %s", varies)
		}
		delete(line, varies)
	}
	if diff := cmp.Diff(map[string]any{
		"level": "INFO", "msg": "request", "listener": "internal", "method": "GET", "route": "/v1/sessions/{id}",
		"status": 200.0, "client": "203.0.113.7", "request_id": "abc", "service_key": "backend",
	}, line); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	s.public(t, "GET", "/v1/me/sessions/current", bearer(session.refresh), header("X-Request-Id", "abc"))
	line = s.log.last(t)
	for name, want := range map[string]any{
		"level": "INFO", "listener": "public", "status": 401.0, "code": "invalid_token", "reason": "wrong_type",
	} {
		if line[name] != want {
			t.Errorf("%s is %v, want %v", name, line[name], want)
		}
	}
}

// Security 21: whatever is sent, and wherever, the log has only the fields of a
// short list, and in none of them a token, a key or data.
func TestLogHasNoSecrets(t *testing.T) {
	t.Parallel()
	t.Run("data not sealed", func(t *testing.T) {
		t.Parallel()
		checkLogOf(t, setup(t, withOrigins))
	})
	t.Run("data sealed", func(t *testing.T) {
		t.Parallel()
		checkLogOf(t, setup(t, withOrigins, sealedWith(t, newKeyset(t))))
	})
}

func checkLogOf(t *testing.T, s *service) {
	t.Helper()
	session := s.create(t, "ann")
	secrets := map[string]string{"access": session.access, "refresh": session.refresh, "key": serviceKey, "data": secretData}
	for _, secret := range secrets {
		for _, listener := range []http.Handler{s.server.Public(), s.server.Internal()} {
			for _, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS"} {
				for _, path := range []string{
					"/", "/oauth2/", "/v1/sessions/", "/v1/me/sessions/", "/v1/sessions?subject=", "/v1/me/sessions?access_token=",
					"/oauth2/token?refresh_token=", "/v1/sessions?cursor=x&subject=", "/livez?token=", "/openapi.yaml?",
				} {
					s.do(t, listener, method, path+url.QueryEscape(secret), bearer(serviceKey))
				}
				s.do(t, listener, method, "/v1/sessions", bearer(secret), jsonBody(`{"`+secret+`":"`+secret+`"}`))
			}
			for _, o := range []option{
				form("token", secret), form("grant_type", secret), form(secret, secret), jsonBody(secret), jsonBody(`{"data":"` + secret + `"}`),
				header("X-Request-Id", secret+strings.Repeat("x", 64)), header("User-Agent", secret), header("Referer", secret),
				header("Content-Type", secret), header("Origin", secret), header("X-Forwarded-For", secret), header("If-Match", secret),
				header("Cookie", "session="+secret), header("Host", secret),
			} {
				for _, route := range []string{"POST /oauth2/token", "POST /oauth2/revoke", "POST /oauth2/introspect", "POST /v1/sessions", "PUT /v1/sessions/" + session.id + "/data"} {
					method, path, _ := strings.Cut(route, " ")
					s.do(t, listener, method, path, bearer(serviceKey), o)
				}
			}
		}
	}
	s.pool.Close() // from here on there are errors to be logged
	s.public(t, "GET", "/v1/me/sessions", bearer(session.access)).want(t, 503)
	s.refresh(t, session.refresh).want(t, 503)
	s.internal(t, "POST", "/v1/sessions", jsonBody(`{"data":{"a":"`+secretData+`"},"subject":"ann"}`)).want(t, 503)

	allowed := map[string]bool{}
	for name := range strings.SplitSeq("time level msg listener method route status bytes duration_ms client request_id service_key code reason error", " ") {
		allowed[name] = true
	}
	for text := range strings.SplitSeq(strings.TrimSpace(s.log.String()), "\n") {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		for name := range line {
			if !allowed[name] {
				t.Errorf("the log has %s: %s", name, text)
			}
		}
	}
	// The sessions' ids, the subject and the paths must not be in the log
	// either.
	for _, private := range []string{session.id, `ann"`, "/v1/sessions/0"} {
		if strings.Contains(s.log.String(), private) {
			t.Errorf("the log has %s", private)
		}
	}
}
