package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const otherKey = "another-service-key-for-operators-0002"

// Security 17: every internal route but the open ones needs a service key; a
// wrong one gives 401 and a line in the log, which [service.checkLog] searches
// for the keys.
func TestServiceKeys(t *testing.T) {
	t.Parallel()
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) {
		cfg.ServiceKeys = append(cfg.ServiceKeys, httpapi.ServiceKey{Name: "operator", Secret: otherKey})
	})
	s.secrets = append(s.secrets, otherKey)
	session := s.create(t, "ann")

	for _, route := range routed(t, s.server.Internal()) {
		method, path, _ := strings.Cut(strings.ReplaceAll(route, "{id}", session.id), " ")
		open := path == "/livez" || path == "/readyz" || path == "/openapi.yaml" || path == "/metrics" || path == "/"
		for name, authorization := range map[string][]string{
			"none":            nil,
			"wrong":           {"Bearer " + strings.Repeat("x", len(serviceKey))},
			"empty":           {"Bearer "},
			"prefix":          {"Bearer " + serviceKey[:len(serviceKey)-1]},
			"longer":          {"Bearer " + serviceKey + "x"},
			"another case":    {"Bearer " + strings.ToUpper(serviceKey)},
			"a token":         {"Bearer " + session.access},
			"another scheme":  {"Basic " + serviceKey},
			"no scheme":       {serviceKey},
			"twice":           {"Bearer " + serviceKey, "Bearer " + serviceKey},
			"two in one":      {"Bearer " + serviceKey + ", Bearer " + otherKey},
			"right and wrong": {"Bearer " + serviceKey, "Bearer wrong"},
		} {
			answer := s.do(t, s.server.Internal(), method, path, func(r *http.Request) {
				if authorization != nil {
					r.Header["Authorization"] = authorization
				}
			})
			if open {
				answer.want(t, 200)
				continue
			}
			status, want := 401, []string{`Bearer realm="latchkey", error="invalid_token"`}
			switch introspection := path == "/oauth2/introspect"; {
			case len(authorization) > 1: // RFC 6750 §3.1
				status, want = 400, []string{`Bearer realm="latchkey", error="invalid_request"`}
			case authorization == nil && introspection: // RFC 7662 §2.1: either will do
				want = []string{`Bearer realm="latchkey"`, `Basic realm="latchkey"`}
			case authorization == nil: // RFC 6750 §3
				want = []string{`Bearer realm="latchkey"`}
			case introspection && strings.HasPrefix(authorization[0], "Basic "): // RFC 6749 §5.2
				want = []string{`Basic realm="latchkey"`}
			}
			if diff := cmp.Diff(want, answer.Header.Values("WWW-Authenticate")); answer.StatusCode != status || diff != "" {
				t.Errorf("%s with %s: %d, WWW-Authenticate %s", route, name, answer.StatusCode, diff)
			}
		}
	}
	if !strings.Contains(s.log.String(), `"service key refused"`) {
		t.Error("no line in the log")
	}
	if !s.accepted(t, session.access) {
		t.Error("a refused request had an effect")
	}

	for key, name := range map[string]string{serviceKey: "backend", otherKey: "operator"} {
		s.internal(t, "GET", "/v1/sessions/"+session.id, bearer(key)).want(t, 200)
		if got := s.log.last(t)["service_key"]; got != name {
			t.Errorf("the log says %v used its key, it was %s", got, name)
		}
	}
}

// Every public route for a bearer refuses whatever is not a live access token.
func TestAccessTokens(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	for _, route := range routed(t, s.server.Public()) {
		method, path, _ := strings.Cut(strings.ReplaceAll(route, "{id}", session.id), " ")
		if !strings.HasPrefix(path, "/v1/me/") {
			continue
		}
		for name, authorization := range map[string][]string{
			"none":           nil,
			"garbage":        {"Bearer x"},
			"refresh token":  {"Bearer " + session.refresh}, // security 11
			"service key":    {"Bearer " + serviceKey},
			"changed":        {"Bearer " + session.access[:len(session.access)-2] + "xx"}, // security 3
			"another scheme": {"GNAP " + session.access},
			"twice":          {"Bearer " + session.access, "Bearer " + session.access},
			"empty":          {"Bearer"},
		} {
			answer := s.public(t, method, path, func(r *http.Request) {
				if authorization != nil {
					r.Header["Authorization"] = authorization
				}
			})
			status, code, challenge := 401, "invalid_token", `Bearer realm="latchkey", error="invalid_token"`
			switch {
			case len(authorization) == 0, name == "another scheme": // RFC 6750 §3
				code, challenge = "missing_token", `Bearer realm="latchkey"`
			case len(authorization) == 2: // RFC 6750 §3.1
				status, code, challenge = 400, "duplicate_parameter", `Bearer realm="latchkey", error="invalid_request"`
			}
			answer.wantProblem(t, status, code)
			if got := answer.Header.Get("WWW-Authenticate"); got != challenge {
				t.Errorf("%s with %s: WWW-Authenticate %q", route, name, got)
			}
		}
		// Security 15: a token in the URL is refused even alongside one in the
		// header.
		for _, o := range []option{func(*http.Request) {}, bearer(session.access)} {
			answer := s.public(t, method, path+"?access_token="+session.access, o)
			answer.wantProblem(t, 400, "token_in_query")
			if got := answer.Header.Get("WWW-Authenticate"); got != `Bearer realm="latchkey", error="invalid_request"` { // RFC 6750 §3.1
				t.Errorf("%s: WWW-Authenticate %q", route, got)
			}
		}
	}
	if !s.accepted(t, session.access) {
		t.Error("a refused request had an effect")
	}
	s.public(t, "GET", "/v1/me/sessions/current", header("Authorization", "bearer  "+session.access)).want(t, 200) // RFC 9110 §11.1
}
