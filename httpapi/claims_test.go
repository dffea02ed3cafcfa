package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func (s *service) putClaims(t *testing.T, id, query, etag, claims string) response {
	t.Helper()
	return s.internal(t, "PUT", "/v1/sessions/"+id+"/claims"+query, header("If-Match", etag), jsonBody(claims))
}

// introspected is what introspection says about an access token.
func (s *service) introspected(t *testing.T, token string) map[string]any {
	t.Helper()
	return s.internal(t, "POST", "/oauth2/introspect", form("token", token)).want(t, 200).json(t)
}

func TestPutClaims(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	claims := func() response { return s.internal(t, "GET", "/v1/sessions/"+session.id+"/claims").want(t, 200) }
	none := claims()
	if none.Header.Get("ETag") == `"`+session.checksum+`"` || len(none.json(t)) != 0 {
		t.Errorf("%v with the ETag of the data", none.json(t))
	}
	first := none.Header.Get("ETag")
	answer := s.putClaims(t, session.id, "", first, `{"role":"editor","scope":"a b"}`).want(t, 200)
	second := answer.Header.Get("ETag")
	if m := answer.json(t); m["id"] != session.id || `"`+at[string](t, m, "checksum")+`"` != second || second == first {
		t.Errorf("%v, ETag %s", m, second)
	}
	want := map[string]any{"role": "editor", "scope": "a b"}
	if got := claims(); got.Header.Get("ETag") != second || !cmp.Equal(got.json(t), want) {
		t.Errorf("%v, ETag %s, want %s", got.json(t), got.Header.Get("ETag"), second)
	}
	// Neither disturbs the other.
	s.put(t, session.id, `"`+session.checksum+`"`, `{"a":1}`).want(t, 200)
	if got := claims().Header.Get("ETag"); got != second {
		t.Errorf("after a change of the data: %s", got)
	}
	// The token already issued keeps its claims, and its session has the new ones.
	m := s.introspected(t, session.access)
	if !at[bool](t, m, "active") || m["claims"] != nil || !cmp.Equal(at[map[string]any](t, at[map[string]any](t, m, "session"), "claims"), want) {
		t.Errorf("%v", m)
	}
	if got := s.putClaims(t, session.id, "?supersede=false", second, ` {"scope":"a b", "role":"editor"} `).want(t, 200).Header.Get("ETag"); got != second {
		t.Errorf("ETag %s, want %s", got, second)
	}
	conflict := s.putClaims(t, session.id, "?supersede=true", first, `{}`)
	conflict.wantProblem(t, 412, "checksum_mismatch")
	if got := conflict.Header.Get("ETag"); got != second {
		t.Errorf("ETag %s, want %s", got, second)
	}
	if !at[bool](t, s.introspected(t, session.access), "active") {
		t.Error("a refused request has superseded")
	}
}

// As soon as this is answered, the token already issued is refused by strict checks,
// and a refresh, which is never refused, gives one with the new claims.
func TestPutClaimsSupersedes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	etag := s.internal(t, "GET", "/v1/sessions/"+session.id+"/claims").want(t, 200).Header.Get("ETag")
	s.putClaims(t, session.id, "?supersede=true", etag, `{"role":"viewer"}`).want(t, 200)

	if m := s.introspected(t, session.access); at[bool](t, m, "active") {
		t.Errorf("%v", m)
	}
	s.public(t, "GET", "/v1/me/sessions/current", bearer(session.access)).wantProblem(t, 401, "invalid_token")
	answer := s.public(t, "POST", "/oauth2/token", form("grant_type", "refresh_token", "refresh_token", session.refresh)).want(t, 200).json(t)
	m := s.introspected(t, at[string](t, answer, "access_token"))
	if !at[bool](t, m, "active") || !cmp.Equal(m["claims"], any(map[string]any{"role": "viewer"})) {
		t.Errorf("%v", m)
	}
}

func TestPutClaimsRefusals(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session, ended := s.create(t, "ann"), s.create(t, "ann")
	current := s.internal(t, "GET", "/v1/sessions/"+session.id+"/claims").want(t, 200).Header.Get("ETag")
	s.internal(t, "DELETE", "/v1/sessions/"+ended.id).want(t, 204)

	s.internal(t, "PUT", "/v1/sessions/"+session.id+"/claims", jsonBody(`{}`)).wantProblem(t, 428, "precondition_required")
	for _, etag := range []string{"", "*", `W/` + current, current + `, "b"`} {
		if m := s.putClaims(t, session.id, "", etag, `{}`).wantProblem(t, 400, "invalid_parameter"); m["parameter"] != "If-Match" {
			t.Errorf("%s: %v", etag, m)
		}
	}
	for _, query := range []string{"?supersede=yes", "?supersede=TRUE"} {
		if m := s.putClaims(t, session.id, query, current, `{}`).wantProblem(t, 400, "invalid_parameter"); m["parameter"] != "supersede" || m["detail"] != "It must be true or false." {
			t.Errorf("%s: %v", query, m)
		}
	}
	const unknown = "01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91"
	s.putClaims(t, unknown, "", current, `{}`).wantProblem(t, 404, "session_not_found")
	s.putClaims(t, ended.id, "", current, `{}`).wantProblem(t, 409, "session_ended")
	s.internal(t, "GET", "/v1/sessions/"+unknown+"/claims").wantProblem(t, 404, "session_not_found")
	s.internal(t, "GET", "/v1/sessions/"+ended.id+"/claims").want(t, 200)

	for claims, want := range map[string]struct{ code, pointer, detail string }{
		``:                {"malformed_body", "", "JSON"},
		`[]`:              {"invalid_member", "", "Not a JSON object."},
		`{"a":1,"a":1}`:   {"duplicate_member", "/a", ""},
		`{"Sub":"root"}`:  {"invalid_member", "/Sub", "Reserved, in whatever spelling, as are acr"},
		`{"scope":"a\t"}`: {"invalid_member", "/scope", "Not a scope: a string of words"},
		`{"a":"` + strings.Repeat("x", 5000) + `"}`: {"invalid_member", "", "Longer than 4096 bytes."},
	} {
		m := s.putClaims(t, session.id, "?supersede=true", current, claims).wantProblem(t, 400, want.code)
		if pointer, _ := m["pointer"].(string); pointer != want.pointer {
			t.Errorf("%.20s: %v", claims, m)
		}
		if detail, _ := m["detail"].(string); !strings.Contains(detail, want.detail) {
			t.Errorf("%.20s: %v", claims, m)
		}
	}
	s.putClaims(t, session.id, "", current, `{"a":"`+strings.Repeat(" ", 70_000)+`"}`).wantProblem(t, 413, "body_too_large")
	if got := s.internal(t, "GET", "/v1/sessions/"+session.id+"/claims"); got.Header.Get("ETag") != current || got.StatusCode != http.StatusOK {
		t.Error("a refused request had an effect")
	}
}
