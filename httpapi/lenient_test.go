package httpapi_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// RFC 6749 §3.2, RFC 7009 §2.1, RFC 7662 §2.1: unrecognized parameters are ignored; and cacheable documents accept any
// query. A token in a URL is still refused.
func TestUnknownQueryParametersAreIgnored(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, query := range []string{"?utm_source=x", "?v=1&v=2", "?", "?=", "?%zz", "?a;b", "?t=" + strings.Repeat("1", 5000)} {
		session := s.create(t, "ann")
		s.internal(t, "POST", "/oauth2/introspect"+query, form("token", session.access)).want(t, 200)
		s.public(t, "POST", "/oauth2/token"+query, form("grant_type", "refresh_token", "refresh_token", session.refresh)).want(t, 200)
		s.public(t, "POST", "/oauth2/revoke"+query, form("token", session.refresh)).want(t, 200)
		for _, document := range []string{
			"/", "/openapi.yaml", "/livez", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration",
		} {
			s.public(t, "GET", document+query).want(t, 200)
		}
		s.internal(t, "GET", "/readyz"+query).want(t, 200)
	}
	for _, query := range []string{"?token=x", "?a=%zz&access_token=x", "?client_secret=x"} {
		s.public(t, "POST", "/oauth2/token"+query, form("grant_type", "refresh_token", "refresh_token", "x")).wantProblem(t, 400, "invalid_request")
		s.public(t, "GET", "/.well-known/jwks.json"+query).wantProblem(t, 400, "token_in_query")
	}
	// A misspelt filter must not select everything.
	s.public(t, "GET", "/v1/me/sessions?utm_source=x", bearer(s.create(t, "ann").access)).wantProblem(t, 400, "unknown_parameter")
}

// An origin is the one that browsers send, however its name was written.
func TestInternationalOrigins(t *testing.T) {
	t.Parallel()
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) {
		cfg.CORSOrigins = []string{"https://münchen.example", "https://straße.example:8443", "https://例え.テスト", "http://[::1]:5173"}
	})
	for origin, want := range map[string]bool{
		"https://xn--mnchen-3ya.example": true, "https://xn--strae-oqa.example:8443": true, "https://xn--r8jz45g.xn--zckzah": true, "http://[::1]:5173": true,
		"https://xn--strae-oqa.example": false, "https://munchen.example": false, "https://strasse.example:8443": false,
	} {
		if got := allowed(s.public(t, "GET", "/.well-known/jwks.json", header("Origin", origin))) == origin; got != want {
			t.Errorf("%s is allowed: %t", origin, got)
		}
	}
}

// RFC 7662 §2.1, RFC 6749 §2.3.1: a resource server may have its credentials in the form.
func TestIntrospectWithAForm(t *testing.T) {
	t.Parallel()
	s := setup(t)
	token := s.create(t, "ann").access
	introspect := func(o ...option) response {
		return s.do(t, s.server.Internal(), "POST", "/oauth2/introspect", o...)
	}
	if m := introspect(form("client_id", "backend", "client_secret", serviceKey, "token", token)).want(t, 200).json(t); m["active"] != true {
		t.Errorf("%v", m)
	}
	if got := s.log.last(t)["service_key"]; got != "backend" {
		t.Errorf("the log says %v", got)
	}
	for name, fields := range map[string][]string{
		"another's name": {"client_id", "operator", "client_secret", serviceKey},
		"no name":        {"client_secret", serviceKey},
		"wrong secret":   {"client_id", "backend", "client_secret", serviceKey + "x"},
		"encoded twice":  {"client_id", "backend", "client_secret", strings.ReplaceAll(serviceKey, "-", "%2D")},
		"two secrets":    {"client_id", "backend", "client_secret", serviceKey, "client_secret", serviceKey},
		"two names":      {"client_id", "backend", "client_secret", serviceKey, "client_id", "x"},
	} {
		answer := introspect(form(append(fields, "token", token)...))
		answer.wantProblem(t, 401, "invalid_client")
		if diff := cmp.Diff([]string{`Basic realm="latchkey"`}, answer.Header.Values("WWW-Authenticate")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, o := range []option{
		form("token", token), form("client_id", "backend", "token", token), form("client_id", "backend", "client_secret", "", "token", token),
		jsonBody(`{"client_id":"backend","client_secret":"` + serviceKey + `","token":"` + token + `"}`),
	} {
		introspect(o).wantProblem(t, 401, "invalid_client")
	}
	// A form that is too long says nothing about its secret.
	introspect(form("client_id", "backend", "client_secret", serviceKey, "token", strings.Repeat("x", 17<<10))).wantProblem(t, 413, "invalid_request")
	// The header's value counts.
	introspect(bearer("wrong"), form("client_id", "backend", "client_secret", serviceKey, "token", token)).wantProblem(t, 401, "invalid_token")
	introspect(bearer(serviceKey), form("client_id", "backend", "client_secret", "wrong", "token", token)).want(t, 200)
	// Other routes do not support it.
	s.do(t, s.server.Internal(), "POST", "/v1/sessions", form("client_id", "backend", "client_secret", serviceKey)).want(t, 401)
}

func TestIndex(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for listener, answer := range map[string]response{"public": s.public(t, "GET", "/"), "internal": s.internal(t, "GET", "/", header("Accept", "text/html"))} {
		want := map[string]any{
			"service": "Latchkey", "listener": listener, "description": "/openapi.yaml", "documentation": "https://github.com/latchkey-sessions/latchkey",
		}
		if diff := cmp.Diff(want, answer.want(t, 200).json(t)); diff != "" {
			t.Error(diff)
		}
	}
}

// A load balancer that reaches only the public listener can check whether the process is alive, as often as it
// likes.
func TestPublicLiveness(t *testing.T) {
	t.Parallel()
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.RateLimit = 1 })
	s.pool.Close()
	for range 3 {
		s.public(t, "GET", "/livez", from("203.0.113.7:1")).want(t, 200)
	}
	s.public(t, "HEAD", "/livez", from("203.0.113.7:1")).want(t, 200)
	s.public(t, "GET", "/", from("203.0.113.7:1")).want(t, 200)
	s.public(t, "GET", "/", from("203.0.113.7:1")).want(t, 429)
	s.public(t, "GET", "/readyz", from("203.0.113.8:1")).want(t, 404)
}
