package httpapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

var update = flag.Bool("update", false, "write the golden files")

// goldenHeaders are those that a contract depends on.
var goldenHeaders = []string{"Allow", "Cache-Control", "Content-Type", "ETag", "Pragma", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-Id"}

// golden compares an answer with testdata/<name>.golden.
func golden(t *testing.T, name string, answer response) {
	t.Helper()
	var text bytes.Buffer
	fmt.Fprintf(&text, "%d %s\n", answer.StatusCode, http.StatusText(answer.StatusCode))
	for _, h := range goldenHeaders {
		if values := answer.Header.Values(h); len(values) > 0 {
			fmt.Fprintf(&text, "%s: %s\n", h, strings.Join(values, ", "))
		}
	}
	text.WriteByte('\n')
	if err := json.Indent(&text, answer.body, "", "  "); err != nil {
		t.Fatalf("%v in %q", err, answer.body)
	}
	text.WriteByte('\n')

	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestGoldenProblems(t *testing.T) {
	t.Parallel()
	s := setup(t)
	live, ended := s.create(t, "ann"), s.create(t, "ann")
	s.internal(t, "DELETE", "/v1/sessions/"+ended.id).want(t, 204)
	s.internal(t, "PUT", "/v1/sessions/"+live.id+"/data", header("If-Match", `"`+live.checksum+`"`), jsonBody(`{}`)).want(t, 200)
	const unknown = "/v1/sessions/01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91"
	data := "/v1/sessions/" + live.id + "/data"
	match := header("If-Match", `"`+live.checksum+`"`)

	for name, answer := range map[string]func(...option) response{
		"body_too_large": func(o ...option) response {
			return s.internal(t, "PUT", data, append(o, match, jsonBody(`{"a":"`+strings.Repeat("x", sessionstore.MaxDataBytes)+`"}`))...)
		},
		"checksum_mismatch": func(o ...option) response {
			return s.internal(t, "PUT", data, append(o, match, jsonBody(`{"a":2}`))...)
		},
		"duplicate_member": func(o ...option) response {
			return s.internal(t, "POST", "/v1/sessions", append(o, jsonBody(`{"data":{"a":{"b":1,"b":2}}}`))...)
		},
		"duplicate_parameter": func(o ...option) response {
			return s.internal(t, "GET", "/v1/sessions?subject=a&subject=b", o...)
		},
		"insufficient_scope": func(o ...option) response {
			return s.public(t, "GET", "/v1/check/require/scope=orders:read", append(o, bearer(live.access))...)
		},
		"wrong_audience": func(o ...option) response {
			return s.public(t, "GET", "/v1/check/require/audience=orders", append(o, bearer(live.access))...)
		},
		"invalid_member_claim": func(o ...option) response {
			return s.internal(t, "POST", "/v1/sessions", append(o, jsonBody(`{"claims":{"Sub":"root"}}`))...)
		},
		"invalid_member_null": func(o ...option) response {
			return s.internal(t, "POST", "/v1/sessions", append(o, jsonBody(`{"data":{},"subject":null}`))...)
		},
		"invalid_member_type": func(o ...option) response {
			return s.internal(t, "POST", "/v1/sessions", append(o, jsonBody(`{"data":{},"client":{"label":7}}`))...)
		},
		"invalid_member_value": func(o ...option) response {
			return s.internal(t, "POST", "/v1/sessions", append(o, jsonBody(`{"data":{},"dpop_jkt":"nowhere"}`))...)
		},
		"invalid_parameter": func(o ...option) response {
			return s.internal(t, "GET", "/v1/sessions?subject=a&limit=201", o...)
		},
		"invalid_parameter_missing": func(o ...option) response {
			return s.internal(t, "DELETE", "/v1/sessions", o...)
		},
		"invalid_service_key": func(o ...option) response {
			return s.internal(t, "GET", unknown, append(o, bearer("wrong"))...)
		},
		"invalid_token": func(o ...option) response {
			return s.public(t, "GET", "/v1/me/sessions", append(o, bearer(ended.access))...)
		},
		"malformed_body": func(o ...option) response {
			return s.internal(t, "POST", "/v1/sessions", append(o, jsonBody(`{"data":{}} {}`))...)
		},
		"method_not_allowed": func(o ...option) response {
			return s.internal(t, "PUT", "/v1/sessions", o...)
		},
		"missing_service_key": func(o ...option) response {
			return s.internal(t, "GET", unknown, append(o, func(r *http.Request) { r.Header.Del("Authorization") })...)
		},
		"missing_token": func(o ...option) response {
			return s.public(t, "GET", "/v1/me/sessions", o...)
		},
		"precondition_required": func(o ...option) response {
			return s.internal(t, "PUT", data, append(o, jsonBody(`{}`))...)
		},
		"route_not_found": func(o ...option) response {
			return s.public(t, "GET", "/nowhere", o...)
		},
		"session_ended": func(o ...option) response {
			return s.internal(t, "PUT", "/v1/sessions/"+ended.id+"/data",
				append(o, header("If-Match", `"`+ended.checksum+`"`), jsonBody(`{}`))...)
		},
		"session_not_found": func(o ...option) response {
			return s.internal(t, "GET", unknown, o...)
		},
		"token_in_query": func(o ...option) response {
			return s.public(t, "GET", "/v1/me/sessions?access_token="+live.access, o...)
		},
		"unknown_member": func(o ...option) response {
			return s.internal(t, "POST", "/v1/sessions", append(o, jsonBody(`{"data":{},"client":{"colour":1}}`))...)
		},
		"unknown_parameter": func(o ...option) response {
			return s.public(t, "GET", "/v1/me/sessions?sort=age", append(o, bearer(live.access))...)
		},
		"unsupported_media_type": func(o ...option) response {
			return s.internal(t, "POST", "/v1/sessions", append(o, body("text/plain", `{"data":{}}`))...)
		},
		"oauth_duplicate_parameter": func(o ...option) response {
			return s.public(t, "POST", "/oauth2/token", append(o, form("grant_type", "refresh_token", "refresh_token", "a", "refresh_token", "b"))...)
		},
		"oauth_invalid_grant": func(o ...option) response {
			return s.public(t, "POST", "/oauth2/token", append(o, form("grant_type", "refresh_token", "refresh_token", ended.refresh))...)
		},
		"oauth_invalid_service_key": func(o ...option) response {
			return s.internal(t, "POST", "/oauth2/introspect", append(o, bearer(live.access), form("token", live.access))...)
		},
		"oauth_method_not_allowed": func(o ...option) response {
			return s.public(t, "GET", "/oauth2/token", o...)
		},
		"oauth_missing_parameter": func(o ...option) response {
			return s.public(t, "POST", "/oauth2/token", append(o, form("grant_type", "refresh_token"))...)
		},
		"oauth_missing_service_key": func(o ...option) response {
			return s.internal(t, "POST", "/oauth2/introspect",
				append(o, form("token", live.access), func(r *http.Request) { r.Header.Del("Authorization") })...)
		},
		"oauth_route_not_found": func(o ...option) response {
			return s.public(t, "POST", "/oauth2/authorize", o...)
		},
		"oauth_token_in_query": func(o ...option) response {
			return s.public(t, "POST", "/oauth2/token?refresh_token="+live.refresh, append(o, form("grant_type", "refresh_token"))...)
		},
		"oauth_unsupported_grant_type": func(o ...option) response {
			return s.public(t, "POST", "/oauth2/token", append(o, form("grant_type", "password"))...)
		},
		"oauth_unsupported_media_type": func(o ...option) response {
			return s.public(t, "POST", "/oauth2/token", append(o, jsonBody(`{"grant_type":"refresh_token"}`))...)
		},
	} {
		golden(t, "problem_"+name, answer(header("X-Request-Id", "golden")))
	}
}

// The document of a database that is gone is the same on every route.
func TestGoldenUnavailable(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	s.pool.Close()
	id := header("X-Request-Id", "golden")
	golden(t, "problem_unavailable", s.public(t, "GET", "/v1/me/sessions", id, bearer(session.access)))
	golden(t, "problem_unavailable", s.internal(t, "GET", "/readyz", id))
	golden(t, "problem_oauth_unavailable", s.public(t, "POST", "/oauth2/token", id, form("grant_type", "refresh_token", "refresh_token", session.refresh)))
}

func TestGoldenTooManySessions(t *testing.T) {
	t.Parallel()
	s := setup(t, func(_ *httpapi.Config, cfg *sessionstore.Config) {
		cfg.SessionsPerSubject, cfg.SessionsPerSubjectAction = 1, sessionstore.RefuseNew
	})
	s.create(t, "ann")
	golden(t, "problem_too_many_sessions", s.internal(t, "POST", "/v1/sessions", header("X-Request-Id", "golden"), jsonBody(`{"subject":"ann","data":{}}`)))
}

func TestGoldenReplaces(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ended := s.create(t, "ann")
	s.internal(t, "DELETE", "/v1/sessions/"+ended.id).want(t, 204)
	for name, replaces := range map[string]string{"not_replaceable": ended.id, "invalid_member_replaces": "no token", "invalid_member_replaces_empty": ""} {
		golden(t, "problem_"+name, s.internal(t, "POST", "/v1/sessions", header("X-Request-Id", "golden"), jsonBody(`{"replaces":"`+replaces+`"}`)))
	}
}

func TestGoldenRateLimited(t *testing.T) {
	t.Parallel()
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.RateLimit = 1 })
	id := header("X-Request-Id", "golden")
	s.public(t, "GET", "/.well-known/jwks.json").want(t, 200)
	golden(t, "problem_rate_limited", s.public(t, "GET", "/.well-known/jwks.json", id))
	golden(t, "problem_oauth_rate_limited", s.public(t, "POST", "/oauth2/token", id, form("grant_type", "refresh_token")))
}

func TestGoldenDiscovery(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := header("X-Request-Id", "golden")
	golden(t, "jwks", s.public(t, "GET", "/.well-known/jwks.json", id))
	golden(t, "metadata", s.public(t, "GET", "/.well-known/oauth-authorization-server", id))
	golden(t, "metadata_ssf", s.public(t, "GET", "/.well-known/ssf-configuration", id))
}
