package httpapi_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

var identityHeaders = []string{"Latchkey-Subject", "Latchkey-Session", "Latchkey-Client", "Latchkey-Scope"}

// identityOf returns whose request it was, according to an answer. Each header must be there.
func identityOf(t *testing.T, answer response) map[string]string {
	t.Helper()
	m := make(map[string]string)
	for _, name := range identityHeaders {
		values := answer.Header.Values(name)
		if len(values) != 1 {
			t.Fatalf("%s %s has %d headers %s", answer.Request.Method, answer.Request.URL, len(values), name)
		}
		m[name] = values[0]
	}
	return m
}

// Whatever a gateway's client requested, a check concerns only its token, and changes nothing.
func TestCheck(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := sessionOf(s.internal(t, "POST", "/v1/sessions", jsonBody(
		`{"subject":"ann","data":{"note":"`+secretData+`"},"claims":{"scope":"orders:read orders:write"}}`)).want(t, 201).json(t))
	want := map[string]string{
		"Latchkey-Subject": "ann", "Latchkey-Session": session.id, "Latchkey-Client": "latchkey", "Latchkey-Scope": "orders:read orders:write",
	}
	paths := []string{
		"/v1/check", "/v1/check/", "/v1/check/path", "/v1/check/path/orders/5", "/v1/check/path//", "/v1/check/path/../me/sessions/current", "/v1/check/path/a%2Fb%00%ff",
		"/v1/check/path/v1/me/sessions/current", "/v1/check/path/require/x", "/v1/check/path/{id}/*", "/v1/check?", "/v1/check?utm_source=x", "/v1/check?access_token=x&token=%zz&;", "/v1/check/path/a?b=c?d",
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PROPFIND", "QUERY", "get"} {
		for _, path := range paths {
			answer := s.public(t, method, path, bearer(session.access),
				header("Upgrade", "websocket"), header("Connection", "Upgrade"), header("X-Forwarded-Method", "DELETE")).want(t, 200)
			if diff := cmp.Diff(want, identityOf(t, answer)); diff != "" || len(answer.body) > 0 || answer.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: %q, %v, %s", method, path, answer.body, answer.Header, diff)
			}
			if line := s.log.last(t); line["route"] != "/v1/check" {
				t.Errorf("%s %s has the route %v in the log", method, path, line["route"])
			}
			missing := s.public(t, method, path)
			if missing.want(t, 401); !strings.HasPrefix(missing.Header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s %s: %v", method, path, missing.Header)
			}
		}
		s.public(t, method, "/v1/check", bearer(session.refresh)).want(t, 401)
		s.public(t, method, "/v1/check", bearer("nonsense")).want(t, 401)
	}
	for _, path := range []string{"/v1/checks", "/v1/check;a", "/v1/%63heck", "/v1", "/V1/check", "//v1/check"} {
		s.public(t, "GET", path, bearer(session.access)).wantProblem(t, 404, "route_not_found")
	}
	s.public(t, "GET", "/v1/check", header("Authorization", "Bearer "+session.access), header("Authorization", "Bearer x")).want(t, 400)
	if !s.accepted(t, session.access) {
		t.Error("a check has ended the session")
	}
	s.refresh(t, session.refresh).want(t, 200)
	s.internal(t, "DELETE", "/v1/sessions/"+session.id).want(t, 204)
	s.public(t, "POST", "/v1/check/path/orders", bearer(session.access)).wantProblem(t, 401, "invalid_token")
	s.pool.Close()
	unavailable := s.public(t, "POST", "/v1/check/path/orders", bearer(session.access))
	if unavailable.wantProblem(t, 503, "unavailable"); unavailable.Header.Get("Retry-After") == "" {
		t.Errorf("%v", unavailable.Header)
	}
}

// A subject is any text; no header is.
func TestCheckOfAnySubject(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for subject, want := range map[string]string{
		"ada@example.com": "ada@example.com", "auth0|5f7c8ec7c33c6c004bbafe82": "auth0|5f7c8ec7c33c6c004bbafe82",
		"": "", " ": "%20", "a b": "a%20b", "100%": "100%25", "%41": "%2541", "a,b": "a%2Cb", "a+b": "a%2Bb", "München": "M%C3%BCnchen",
		"a\r\nLatchkey-Scope: admin": "a%0D%0ALatchkey-Scope:%20admin", "\x7f": "%7F", "😀": "%F0%9F%98%80",
	} {
		body, err := url.PathUnescape(want)
		if err != nil || body != subject {
			t.Errorf("%q decodes to %q", want, body)
		}
		session := s.create(t, subject)
		if got := identityOf(t, s.public(t, "GET", "/v1/check", bearer(session.access)).want(t, 200))["Latchkey-Subject"]; got != want {
			t.Errorf("%q is told as %q, want %q", subject, got, want)
		}
	}
}

// A gateway's requirements are in the path, which it writes itself: neither query nor headers nor what a client adds
// to the path weaken it.
func TestCheckRequires(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := sessionOf(s.internal(t, "POST", "/v1/sessions", jsonBody(`{"subject":"ann","data":{},"claims":{"scope":"orders:read a/b c+d"}}`)).want(t, 201).json(t))
	for required, want := range map[string]string{
		"scope=orders:read": "", "scope=a%2Fb": "", "scope=c%2Bd": "", "scope=orders:read+a%2Fb": "", "scope=orders:read%20a%2Fb": "",
		"audience=latchkey": "", "scope=orders:read&audience=latchkey": "", "scope=orders:read&scope=a%2Fb": "",
		"scope=orders:read/scope=orders:write": "", "scope=orders:read/../../require/scope=orders:write": "", // the client's path
		"scope=orders:write": "insufficient_scope", "scope=orders": "insufficient_scope", "scope=ORDERS:READ": "insufficient_scope",
		"scope=orders:read&scope=orders:write": "insufficient_scope", "scope=orders:write+orders:read": "insufficient_scope", "scope=orders:write/scope=orders:read": "insufficient_scope",
		"audience=orders": "wrong_audience", "audience=latchkey&audience=orders": "wrong_audience", "audience=latchkey%20orders": "wrong_audience",
		"": "invalid_parameter", "/": "invalid_parameter", "/scope=orders:read": "invalid_parameter", "scope=": "invalid_parameter", "scope=%20": "invalid_parameter",
		"scope": "invalid_parameter", "audience=": "invalid_parameter", "audience=https://orders.example": "invalid_parameter", "audience=https:%2F%2Forders.example": "wrong_audience", "scope=a;audience=b": "invalid_parameter",
		"scpoe=orders:read": "unknown_parameter", "Scope=orders:read": "unknown_parameter", "scope=orders:read&x=y": "unknown_parameter", "orders": "unknown_parameter",
	} {
		for _, query := range []string{"", "?scope=orders:read", "?audience=latchkey&require=none"} {
			r := newRequest(t, "DELETE", "/v1/check", bearer(session.access))
			var err error
			if r.URL, err = url.ParseRequestURI("/v1/check/require/" + required + query); err != nil {
				t.Fatal(err)
			}
			answer := s.send(t, s.server.Public(), r)
			validate(t, r, nil, answer)
			switch want {
			case "":
				answer.want(t, 200)
			case "insufficient_scope", "wrong_audience":
				answer.wantProblem(t, 403, want)
			default:
				answer.wantProblem(t, 400, want)
			}
			if want != "" && answer.Header.Get("Latchkey-Subject") != "" {
				t.Errorf("%s: a refusal says %v", required, answer.Header)
			}
		}
	}
	s.public(t, "GET", "/v1/check/require", bearer(session.access)).wantProblem(t, 400, "invalid_parameter")
	s.public(t, "GET", "/v1/check/require/scope=orders:write").wantProblem(t, 401, "missing_token")
}

// Only three spellings state requirements, byte for byte: anything else that a gateway
// sends, or that a server in front of it has rewritten, lets no request through without
// what is required.
func TestCheckInOtherSpellings(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	server := httptest.NewServer(s.server.Public()) // it has no time limit
	t.Cleanup(server.Close)
	ask := func(target string) int {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := fmt.Fprintf(conn, "DELETE %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", target, session.access); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != 200 && answer.Header.Get("Latchkey-Subject") != "" {
			t.Errorf("%s: a refusal says %v", target, answer.Header)
		}
		return answer.StatusCode
	}
	const required = "require/scope=orders:read"
	for _, before := range []string{
		"./", "../check/", "x/../", "path/../", "%2e/", "%2E%2e/check/", "x/%2e%2e/", "path/%2e%2E/", ".%2f", "x%2f..%2f", "path%2f..%2f", "path%2f", "/", "//", "%2f", "%252e/", "%252f",
		";/", ".;/", "..;/", "\\", "%5c", ".\\", "path\\..\\", "%20", "%00", "\x01", "requirements/", "a/",
	} {
		target := "/v1/check/" + before + required
		want := 400
		if strings.HasPrefix(before, "path/") {
			want = 200 // a gateway that requires nothing: all behind it is its client's
		}
		if got := ask(target); got != want {
			t.Errorf("%s: %d, want %d", target, got, want)
		}
	}
	for _, misspelt := range []string{
		"Require/scope=x", "REQUIRE", "%72equire/scope=x", "require%2Fscope=x", "require;/scope=x", "require%20/scope=x", "require%00/scope=x", "requires/scope=x", "scope=x", "orders/5",
		"require/./scope=x", "require/%2e/scope=x", "require/../require/scope=x", "require//scope=x", "require/%2fscope=x", "require/.%2fscope=x", "Path", "p%61th/x", "paths", "path;x",
	} {
		if got := ask("/v1/check/" + misspelt); got != 400 {
			t.Errorf("/v1/check/%s: %d, want 400", misspelt, got)
		}
	}
	for _, behind := range []string{"", "/", "/..", "/../..", "/../../path", "/../../../check", "/%2e%2e/%2e%2e/path", "%2f..%2f..%2fpath", "/..%2f..", "/require/scope=", "?scope=x", "/..;/..;/path", "\\..\\..\\path"} {
		for _, target := range []string{"/v1/check/" + required + behind, "http://x/v1/check/" + required + behind} {
			if got := ask(target); got != 403 {
				t.Errorf("%s: %d, want 403", target, got)
			}
		}
	}
	for _, elsewhere := range []string{"/v1/./check/" + required, "/v1/x/../check/" + required, "/v1/%2e/check", "/v1//check", "/v1%2fcheck/" + required, "/v1/check%2f" + required, "/v1/check/../check"} {
		if got := ask(elsewhere); got != 404 && got != 400 {
			t.Errorf("%s: %d", elsewhere, got)
		}
	}
}

// A check counts as the client's own use of its token: a later use of the previous pair is a theft. A check that was
// refused because of what the token lacks does not count.
func TestCheckConfirms(t *testing.T) {
	t.Parallel()
	for path, outcome := range map[string]string{"/v1/check/path/orders": "", "/v1/check/require/scope=admin": "retried_late"} {
		s := setup(t, func(_ *httpapi.Config, cfg *sessionstore.Config) { cfg.Grace = 1 })
		first := s.create(t, "ann")
		next := sessionOf(s.refresh(t, first.refresh).want(t, 200).json(t))
		s.public(t, "POST", path, bearer(next.access))
		answer := s.refresh(t, first.refresh)
		if outcome == "" {
			answer.wantProblem(t, 400, "invalid_grant")
		} else if got := s.log.last(t)["outcome"]; answer.StatusCode != 200 || got != outcome {
			t.Errorf("after %s the pair before is answered with %d, %v", path, answer.StatusCode, got)
		}
	}
}

// A page on another origin can read why it was refused, with any method, and its preflights pass, identifying no
// user.
func TestCheckFromAnotherOrigin(t *testing.T) {
	t.Parallel()
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.CORSOrigins = []string{testOrigin} })
	session := s.create(t, "ann")
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
		for path, status := range map[string]int{"/v1/check/path/orders": 401, "/v1/check/require/scope=admin/orders": 403} {
			options := []option{header("Origin", testOrigin)}
			if status == 403 {
				options = append(options, bearer(session.access))
			}
			answer := s.public(t, method, path, options...).want(t, status)
			if allowed(answer) != testOrigin || !strings.Contains(answer.Header.Get("Access-Control-Expose-Headers"), "Www-Authenticate") {
				t.Errorf("%s %s: %v", method, path, answer.Header)
			}
			if got := allowed(s.public(t, method, path, header("Origin", "https://evil.example.com")).want(t, 401)); got != "" {
				t.Errorf("%s %s lets %q read", method, path, got)
			}
		}
		preflight := s.public(t, "OPTIONS", "/v1/check/path/orders?a=b", header("Origin", testOrigin),
			header("Access-Control-Request-Method", method), header("Access-Control-Request-Headers", "authorization, traceparent"))
		preflight.want(t, 200)
		if diff := cmp.Diff(map[string]string{"Latchkey-Subject": "", "Latchkey-Session": "", "Latchkey-Client": "", "Latchkey-Scope": ""}, identityOf(t, preflight)); diff != "" {
			t.Error(diff)
		}
	}
	// Only a preflight passes: a method that pretends to be one does not.
	s.public(t, "GET", "/v1/check", header("Origin", testOrigin), header("Access-Control-Request-Method", "GET")).want(t, 401)
	s.public(t, "GET", "/v1/check", header("Origin", testOrigin), header("X-Forwarded-Method", "OPTIONS"), header("X-HTTP-Method-Override", "OPTIONS")).want(t, 401)
}

// A gateway that announces its client's body, but does not send it, is answered at once.
func TestCheckWaitsForNoBody(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	server := httptest.NewServer(s.server.Public()) // it has no time limit
	t.Cleanup(server.Close)
	for _, announced := range []string{"Content-Length: 5", "Content-Length: 100000000", "Transfer-Encoding: chunked", "Content-Length: 5\r\nExpect: 100-continue"} {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, err = fmt.Fprintf(conn, "POST /v1/check/path/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n", session.access, announced)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != 200 || answer.Header.Get("Latchkey-Subject") != "ann" {
			t.Errorf("%s: %d %v", announced, answer.StatusCode, answer.Header)
		}
		_ = answer.Body.Close()
		_ = conn.Close()
	}
}
