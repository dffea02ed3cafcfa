package httpapi_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// neededRight has each internal route that requires a service key.
var neededRight = map[string]httpapi.Right{
	"POST /v1/sessions":             httpapi.RightCreate,
	"GET /v1/sessions":              httpapi.RightRead,
	"DELETE /v1/sessions":           httpapi.RightEnd,
	"GET /v1/sessions/{id}":         httpapi.RightRead,
	"GET /v1/sessions/{id}/history": httpapi.RightRead,
	"PATCH /v1/sessions/{id}":       httpapi.RightCreate,
	"DELETE /v1/sessions/{id}":      httpapi.RightEnd,
	"PUT /v1/sessions/{id}/data":    httpapi.RightWriteData,
	"GET /v1/sessions/{id}/claims":  httpapi.RightRead,
	"PUT /v1/sessions/{id}/claims":  httpapi.RightCreate,
	"POST /oauth2/introspect":       httpapi.RightIntrospect,
	"GET /v1/revocations":           httpapi.RightRevocations,
	"GET /v1/events/dead":           httpapi.RightEvents,
	"POST /v1/events/dead/resend":   httpapi.RightEvents,

	"POST /v1/global-token-revocation": httpapi.RightEnd,
}

// keyFor is the secret of the key that has only one right.
func keyFor(right httpapi.Right) string {
	return "this-one-is-only-good-for-" + string(right) + "-0001"
}

func setupRights(t *testing.T) *service {
	t.Helper()
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) {
		for _, right := range httpapi.Rights() {
			key := httpapi.ServiceKey{Name: string(right), Secret: tokens.Secret(keyFor(right)), Rights: []httpapi.Right{right}}
			cfg.ServiceKeys = append(cfg.ServiceKeys, key)
		}
	})
	for _, right := range httpapi.Rights() {
		s.secrets = append(s.secrets, keyFor(right))
	}
	return s
}

// A key can do what it has the right to do; the error for anything else names the right that it lacks.
func TestRights(t *testing.T) {
	t.Parallel()
	s := setupRights(t)
	session := s.create(t, "ann")
	open := []string{"/livez", "/readyz", "/openapi.yaml", "/metrics", "/"}
	for _, route := range routed(t, s.server.Internal()) {
		method, path, _ := strings.Cut(strings.ReplaceAll(route, "{id}", session.id), " ")
		needed, known := neededRight[route]
		if !known {
			if !slices.Contains(open, path) {
				t.Errorf("%s is open, or stands for no right here", route)
			}
			continue
		}
		for _, right := range httpapi.Rights() {
			answer := s.do(t, s.server.Internal(), method, path, bearer(keyFor(right)))
			if right == needed {
				if answer.StatusCode == 401 || answer.StatusCode == 403 {
					t.Errorf("%s with the right %s: %d %s", route, right, answer.StatusCode, answer.body)
				}
				session = s.create(t, "ann") // it may have been ended
				continue
			}
			code := "missing_right"
			if strings.HasPrefix(path, "/oauth2/") {
				code = "unauthorized_client"
			}
			answer.wantProblem(t, 403, code)
			if !strings.Contains(string(answer.body), string(needed)) {
				t.Errorf("%s with the right %s is not told that it needs %s: %s", route, right, needed, answer.body)
			}
			want := `Bearer realm="latchkey", error="insufficient_scope", scope="` + string(needed) + `"`
			if got := answer.Header.Get("WWW-Authenticate"); got != want {
				t.Errorf("%s: WWW-Authenticate %s", route, got)
			}
		}
	}
	if !s.accepted(t, session.access) {
		t.Error("a refused request had an effect")
	}
}

// Data, and the version that could be guessed from it, are for keys with the right to them.
func TestDataNeedsItsRight(t *testing.T) {
	t.Parallel()
	s := setupRights(t)
	session := s.create(t, "ann")
	shown := func(answer response, within ...string) map[string]any {
		t.Helper()
		document := answer.json(t)
		for _, name := range within {
			document = at[map[string]any](t, document, name)
		}
		return document
	}
	for name, c := range map[string]struct {
		right  httpapi.Right
		answer func(key string) map[string]any
	}{
		"read": {httpapi.RightRead, func(key string) map[string]any {
			return shown(s.internal(t, "GET", "/v1/sessions/"+session.id, bearer(key)))
		}},
		"created": {httpapi.RightCreate, func(key string) map[string]any {
			return shown(s.internal(t, "POST", "/v1/sessions", bearer(key), jsonBody(`{"data":{"a":1}}`)), "session")
		}},
		"introspect": {httpapi.RightIntrospect, func(key string) map[string]any {
			return shown(s.internal(t, "POST", "/oauth2/introspect", form("token", session.access), bearer(key)), "session")
		}},
	} {
		for key, want := range map[string]bool{serviceKey: true, keyFor(c.right): false} {
			document := c.answer(key)
			_, data := document["data"]
			_, checksum := document["checksum"]
			if diff := cmp.Diff([]bool{want, want}, []bool{data, checksum}); diff != "" {
				t.Errorf("%s: data and checksum %s", name, diff)
			}
		}
	}
	if etag := s.internal(t, "GET", "/v1/sessions/"+session.id, bearer(keyFor(httpapi.RightRead))).Header.Get("ETag"); etag != "" {
		t.Errorf("the ETag %s gives the version away", etag)
	}
}

// To replace a session is to end it.
func TestReplacingNeedsTheRightToEnd(t *testing.T) {
	t.Parallel()
	s := setupRights(t)
	session := s.create(t, "ann")
	answer := s.internal(t, "POST", "/v1/sessions", bearer(keyFor(httpapi.RightCreate)), jsonBody(`{"replaces":"`+session.id+`"}`))
	if detail := answer.wantProblem(t, 403, "missing_right")["detail"]; detail != `It needs the right "end".` {
		t.Errorf("detail %v", detail)
	}
	if !s.accepted(t, session.access) {
		t.Error("the session has ended")
	}
}

func TestRightsAreChecked(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for want, rights := range map[string][]httpapi.Right{
		`httpapi: the service key "a" has no right`:                               {},
		`httpapi: the service key "a" has the right "reed", which does not exist`: {"reed"},
	} {
		_, err := httpapi.New(s.store, s.keys, httpapi.Config{
			Issuer: testIssuer, ServiceKeys: []httpapi.ServiceKey{{Name: "a", Secret: serviceKey, Rights: rights}},
		})
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v", rights, err)
		}
	}
}
