package httpapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func withOrigins(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.CORSOrigins = []string{testOrigin} }

func allowed(answer response) string { return answer.Header.Get("Access-Control-Allow-Origin") }

// Security 18: only configured origins, and never with credentials.
func TestCORS(t *testing.T) {
	t.Parallel()
	s := setup(t, withOrigins)
	session := s.create(t, "ann")
	preflight := func(origin, method, headers string) response {
		return s.public(t, "OPTIONS", "/v1/me/sessions/current",
			header("Origin", origin), header("Access-Control-Request-Method", method), header("Access-Control-Request-Headers", headers))
	}
	for method, headers := range map[string]string{
		"DELETE": "authorization", "GET": "authorization, x-request-id", "POST": "content-type", "PATCH": "authorization, dpop, traceparent, sentry-trace, baggage",
	} {
		answer := preflight(testOrigin, method, headers).want(t, 200)
		if allowed(answer) != testOrigin || answer.Header.Get("Access-Control-Allow-Methods") != method ||
			!strings.EqualFold(answer.Header.Get("Access-Control-Allow-Headers"), headers) {
			t.Errorf("%s: %v", method, answer.Header)
		}
	}
	for _, refused := range []response{
		preflight(testOrigin, "PROPFIND", ""),
		preflight("https://evil.example", "GET", ""), preflight("null", "GET", ""), preflight("", "GET", ""),
		preflight(testOrigin+".evil.example", "GET", ""), preflight("http://app.example.com", "GET", ""),
		preflight(testOrigin+":8443", "GET", ""), preflight("https://x."+strings.TrimPrefix(testOrigin, "https://"), "GET", ""),
	} {
		if allowed(refused) != "" {
			t.Errorf("%v is allowed", refused.Request.Header)
		}
	}

	answer := s.public(t, "GET", "/v1/me/sessions/current", header("Origin", testOrigin), bearer(session.access)).want(t, 200)
	exposed := answer.Header.Get("Access-Control-Expose-Headers")
	for _, name := range []string{"Etag", "Ratelimit", "Ratelimit-Policy", "Retry-After", "Www-Authenticate", "X-Request-Id"} {
		if !strings.Contains(exposed, name) {
			t.Errorf("%q does not expose %s", exposed, name)
		}
	}
	// A script has to be able to read failures, too.
	for _, failure := range []response{
		s.public(t, "GET", "/v1/me/sessions/current", header("Origin", testOrigin)),
		s.public(t, "GET", "/nowhere", header("Origin", testOrigin)),
		s.public(t, "POST", "/oauth2/token", header("Origin", testOrigin), form("grant_type", "refresh_token", "refresh_token", "x")),
	} {
		if failure.StatusCode < 400 || allowed(failure) != testOrigin {
			t.Errorf("%d for %s %s: %v", failure.StatusCode, failure.Request.Method, failure.Request.URL.Path, failure.Header)
		}
	}
	for _, answer := range []response{answer, preflight(testOrigin, "GET", "")} {
		if answer.Header.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(strings.Join(answer.Header.Values("Vary"), ","), "Origin") {
			t.Errorf("%v", answer.Header)
		}
	}
	if got := allowed(s.public(t, "GET", "/.well-known/jwks.json", header("Origin", "https://evil.example"))); got != "" {
		t.Errorf("another origin got %q", got)
	}
	// The internal listener is not for browsers.
	if got := allowed(s.internal(t, "GET", "/v1/sessions?subject=ann", header("Origin", testOrigin))); got != "" {
		t.Errorf("the internal listener allows %q", got)
	}
}

// Without the setting no answer has CORS headers.
func TestNoCORS(t *testing.T) {
	t.Parallel()
	s := setup(t)
	answer := s.public(t, "OPTIONS", "/v1/me/sessions/current", header("Origin", testOrigin), header("Access-Control-Request-Method", "GET"))
	answer.wantProblem(t, 405, "method_not_allowed")
	if allowed(answer) != "" || allowed(s.public(t, "GET", "/.well-known/jwks.json", header("Origin", testOrigin))) != "" {
		t.Error("an origin is allowed")
	}
}

func from(address string) option {
	return func(r *http.Request) { r.RemoteAddr = address }
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	s := setup(t, withOrigins, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.RateLimit = 3 })
	get := func(o ...option) int {
		return s.public(t, "GET", "/.well-known/jwks.json", append(o, header("Origin", testOrigin))...).StatusCode
	}
	for range 3 {
		if got := get(from("203.0.113.7:1")); got != 200 {
			t.Fatalf("%d", got)
		}
	}
	// Another port, or a forged address (security 23), is the same client.
	answer := s.public(t, "GET", "/.well-known/jwks.json", from("203.0.113.7:2"), header("Origin", testOrigin),
		header("X-Forwarded-For", "203.0.113.8"), header("X-Real-IP", "203.0.113.8"), header("True-Client-IP", "203.0.113.8"))
	answer.wantProblem(t, 429, "rate_limited")
	if answer.Header.Get("Retry-After") == "" || allowed(answer) != testOrigin {
		t.Errorf("%v", answer.Header)
	}
	if got := get(from("203.0.113.8:1")); got != 200 {
		t.Errorf("another client got %d", got)
	}
	// One IPv6 network is one client: it has more addresses than anyone can count.
	for _, host := range []string{"1", "2", "3"} {
		if got := get(from("[2001:db8::" + host + "]:1")); got != 200 {
			t.Fatalf("%d", got)
		}
	}
	if got := get(from("[2001:db8::4]:1")); got != 429 {
		t.Errorf("the network got %d", got)
	}
	// The operator's own backends are not limited.
	for range 10 {
		s.internal(t, "GET", "/livez", from("203.0.113.7:1")).want(t, 200)
	}
}

// Security 23: forwarded addresses count only as far as trusted proxies wrote them.
func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) {
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
	for _, test := range []struct{ peer, forwarded, want string }{
		{"10.0.0.1:1", "203.0.113.7", "203.0.113.7"},
		{"10.0.0.1:1", "198.51.100.1, 203.0.113.7", "203.0.113.7"},
		{"10.0.0.1:1", "198.51.100.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"},
		{"203.0.113.9:1", "203.0.113.7", "203.0.113.9"},
		{"10.0.0.1:1", "203.0.113.7, nonsense", ""},
	} {
		s.public(t, "GET", "/.well-known/jwks.json", from(test.peer), header("X-Forwarded-For", test.forwarded)).want(t, 200)
		if got := s.log.last(t)["client"]; got != test.want {
			t.Errorf("%+v: the log says %v", test, got)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, id := range []string{"a", "A-b_c.9", strings.Repeat("x", 64)} {
		answer := s.public(t, "GET", "/nowhere", header("X-Request-Id", id))
		m := answer.wantProblem(t, 404, "route_not_found")
		if answer.Header.Get("X-Request-Id") != id || m["request_id"] != id || s.log.last(t)["request_id"] != id {
			t.Errorf("%s: %v, %v, %v", id, answer.Header, m, s.log.last(t))
		}
	}
	seen := map[string]bool{}
	for _, id := range []string{"", " ", strings.Repeat("x", 65), "a b", "a\tb", `"`, "é", "a/b", "{}"} {
		answer := s.public(t, "GET", "/nowhere", header("X-Request-Id", id))
		made := answer.Header.Get("X-Request-Id")
		if made == id || seen[made] || len(made) != 32 || answer.json(t)["request_id"] != made {
			t.Errorf("%q became %q", id, made)
		}
		seen[made] = true
	}
}

func TestEveryAnswerIsHardened(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, answer := range []response{
		s.public(t, "GET", "/.well-known/jwks.json"), s.public(t, "GET", "/nowhere"), s.public(t, "PUT", "/oauth2/token"),
		s.public(t, "GET", "/v1/me/sessions"), s.internal(t, "GET", "/readyz"), s.internal(t, "GET", "/v1/sessions?subject=x"),
	} {
		for name, want := range map[string]string{
			"X-Content-Type-Options":  "nosniff",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
			"Referrer-Policy":         "no-referrer",
		} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", answer.Request.URL, name, got)
			}
		}
		if answer.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s sets a cookie", answer.Request.URL)
		}
	}
}

func TestAllowNamesTheMethods(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for target, want := range map[string]string{
		"/v1/me/sessions": "GET, HEAD, DELETE", "/v1/me/sessions/x": "PATCH, DELETE", "/oauth2/revoke": "POST",
	} {
		for _, method := range []string{"PUT", "TRACE", "OPTIONS", "BREW"} {
			answer := s.public(t, method, target).want(t, 405)
			if got := strings.Join(answer.Header.Values("Allow"), ", "); got != want {
				t.Errorf("%s %s: Allow %q, want %q", method, target, got, want)
			}
		}
	}
}

// RFC 9110 §9.3.2: HEAD is GET without the body.
func TestHead(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, target := range []string{"/.well-known/jwks.json", "/openapi.yaml"} {
		get, head := s.public(t, "GET", target).want(t, 200), s.public(t, "HEAD", target).want(t, 200)
		if get.Header.Get("ETag") != head.Header.Get("ETag") || get.Header.Get("Content-Length") != head.Header.Get("Content-Length") {
			t.Errorf("%v and %v", get.Header, head.Header)
		}
	}
}

// The length of an answer is said, be it long or short, and to HEAD too: none comes in pieces.
func TestContentLength(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(setup(t).server.Public())
	defer server.Close()
	for target, isLong := range map[string]bool{"/livez": false, "/.well-known/jwks.json": false, "/v1/me/sessions/current": false, "/openapi.yaml": true} {
		var lengths [2]int64
		for i, method := range []string{http.MethodGet, http.MethodHead} {
			r, err := http.NewRequestWithContext(t.Context(), method, server.URL+target, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if err != nil || method == http.MethodGet && int64(len(body)) != answer.ContentLength {
				t.Errorf("%s %s: %d bytes, %v: %v", method, target, len(body), answer.Header, err)
			}
			lengths[i] = answer.ContentLength
		}
		if lengths[0] != lengths[1] || lengths[0] > 4<<10 != isLong {
			t.Errorf("%s: %v", target, lengths)
		}
	}
}

func TestCaching(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, target := range []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/openapi.yaml"} {
		etag := s.public(t, "GET", target).want(t, 200).Header.Get("ETag")
		for _, match := range []string{etag, "W/" + etag, `"x", ` + etag, "*"} {
			answer := s.public(t, "GET", target, header("If-None-Match", match)).want(t, 304)
			if len(answer.body) > 0 || answer.Header.Get("ETag") != etag {
				t.Errorf("%s: %v", target, answer.Header)
			}
		}
		for _, match := range []string{"", `"x"`, strings.Trim(etag, `"`)} {
			s.public(t, "GET", target, header("If-None-Match", match)).want(t, 200)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	s := setup(t)
	none := func(r *http.Request) { r.Header.Del("Authorization") }
	s.internal(t, "GET", "/livez", none).want(t, 200)
	s.internal(t, "GET", "/readyz", none).want(t, 200)
	s.pool.Close()
	s.internal(t, "GET", "/livez", none).want(t, 200)
	s.internal(t, "GET", "/readyz", none).wantProblem(t, 503, "unavailable")
}
