package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// contextOf are the members of a document that say how its user authenticated and who
// acts for them.
func contextOf(document map[string]any) map[string]any {
	found := map[string]any{}
	for _, name := range []string{"auth_time", "acr", "amr", "act"} {
		if value, has := document[name]; has {
			found[name] = value
		}
	}
	return found
}

// Every document of a session has them alongside its claims, and so has its access token.
func TestContext(t *testing.T) {
	t.Parallel()
	s := setup(t)
	at1 := time.Now().Add(-time.Minute).Unix()
	want := map[string]any{
		"auth_time": float64(at1), "acr": "gold", "amr": []any{"pwd", "otp"},
		"act": map[string]any{"sub": "support-7", "iss": "https://staff.example.com", "act": map[string]any{"sub": "bot"}},
	}
	created := s.internal(t, "POST", "/v1/sessions", jsonBody(fmt.Sprintf(`{"subject":"ann","claims":{"role":"editor"},"auth_time":%d,"acr":"gold","amr":["pwd","otp"],
		"act":{"sub":"support-7","iss":"https://staff.example.com","act":{"sub":"bot"}}}`, at1))).want(t, 201).json(t)
	session := sessionOf(created)
	introspected := s.internal(t, "POST", "/oauth2/introspect", form("token", session.access)).want(t, 200).json(t)
	listed := func(answer map[string]any) map[string]any {
		first, _ := at[[]any](t, answer, "sessions")[0].(map[string]any)
		return first
	}
	for what, document := range map[string]map[string]any{
		"the creation":           at[map[string]any](t, created, "session"),
		"the session":            s.internal(t, "GET", "/v1/sessions/"+session.id).want(t, 200).json(t),
		"a patch":                s.internal(t, "PATCH", "/v1/sessions/"+session.id, jsonBody(`{"client":{"label":"desk"}}`)).want(t, 200).json(t),
		"the list":               listed(s.internal(t, "GET", "/v1/sessions?subject=ann").want(t, 200).json(t)),
		"the user's list":        listed(s.public(t, "GET", "/v1/me/sessions", bearer(session.access)).want(t, 200).json(t)),
		"the user's own session": s.public(t, "GET", "/v1/me/sessions/current", bearer(session.access)).want(t, 200).json(t),
		"introspection":          introspected,
		"introspection, session": at[map[string]any](t, introspected, "session"),
	} {
		if diff := cmp.Diff(want, contextOf(document)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	if diff := cmp.Diff(any(map[string]any{"role": "editor"}), introspected["claims"]); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	plain := s.internal(t, "POST", "/v1/sessions", jsonBody(`{"subject":"ben"}`)).want(t, 201).json(t)
	if got := contextOf(at[map[string]any](t, plain, "session")); len(got) != 0 {
		t.Errorf("a context that was not given: %v", got)
	}
}

func TestContextRefused(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for body, want := range map[string][2]string{
		`{"auth_time":-1}`:                               {"/auth_time", "negative"},
		`{"auth_time":-62135596800}`:                     {"/auth_time", "negative"},
		`{"auth_time":9223372036854775807}`:              {"/auth_time", "253402300799"},
		`{"auth_time":1.5}`:                              {"/auth_time", "a whole number"},
		`{"auth_time":4102444800}`:                       {"/auth_time", "1m0s ahead"},
		`{"acr":""}`:                                     {"/acr", "empty"},
		`{"acr":"a b"}`:                                  {"/acr", "printable ASCII"},
		`{"acr":1}`:                                      {"/acr", "a string"},
		`{"amr":[]}`:                                     {"/amr", "empty"},
		`{"amr":"pwd"}`:                                  {"/amr", "an array of strings"},
		`{"amr":["pwd",1]}`:                              {"/amr/1", "a string"},
		`{"amr":["pwd",""]}`:                             {"/amr/1", "printable ASCII"},
		`{"act":{}}`:                                     {"/act/sub", "Missing"},
		`{"act":"ann"}`:                                  {"/act", "an object"},
		`{"act":{"sub":"a","act":{"sub":1}}}`:            {"/act/act/sub", "a string"},
		`{"act":{"sub":"a","name":"b"}}`:                 {"/act/name", ""},
		`{"act":{"sub":"a","iss":""}}`:                   {"/act/iss", "empty"},
		`{"act":{"sub":"a","act":{"sub":"b","iss":""}}}`: {"/act/act/iss", "empty"},
		`{"act":null}`:                                   {"/act", "null"},
		`{"refresh_token":"no"}`:                         {"/refresh_token", "true or false"},
		`{"refresh_token":false,"refresh_token_ttl":60}`: {"/refresh_token_ttl", "ends with its access token"},
		`{"claims":{"acr":"gold"}}`:                      {"/claims/acr", "Reserved"},
		`{"claims":{"a":"` + strings.Repeat("x", 4080) + `"},"act":{"sub":"support"}}`: {"/claims", "4096 bytes together with"},
	} {
		m := s.internal(t, "POST", "/v1/sessions", jsonBody(body)).want(t, 400).json(t)
		if detail, _ := m["detail"].(string); m["pointer"] != want[0] || !strings.Contains(detail, want[1]) {
			t.Errorf("%.60s: %v", body, m)
		}
	}
}

// The subject sees who acts for them, unless the operator disables that. The requesting
// session is listed in any case.
func TestHideActedSessions(t *testing.T) {
	t.Parallel()
	for _, hide := range []bool{false, true} {
		s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.HideActedSessions = hide })
		own := s.create(t, "ann")
		acted := sessionOf(s.internal(t, "POST", "/v1/sessions", jsonBody(`{"subject":"ann","act":{"sub":"support-7"}}`)).want(t, 201).json(t))
		listed := func(access string) []string {
			all, _ := ids(t, s.public(t, "GET", "/v1/me/sessions", bearer(access)).want(t, 200).json(t))
			return all
		}
		want := []string{acted.id, own.id}
		if diff := cmp.Diff(want, listed(acted.access)); diff != "" {
			t.Errorf("hide %v, who acts sees (-want +got):\n%s", hide, diff)
		}
		if hide {
			want = want[1:]
		}
		if diff := cmp.Diff(want, listed(own.access)); diff != "" {
			t.Errorf("hide %v, the subject sees (-want +got):\n%s", hide, diff)
		}
		if all, _ := ids(t, s.internal(t, "GET", "/v1/sessions?subject=ann").want(t, 200).json(t)); len(all) != 2 {
			t.Errorf("hide %v, the backend sees %v", hide, all)
		}
	}
}

// A session without a refresh token says when it ends, and nothing about a refresh.
func TestNoRefreshToken(t *testing.T) {
	t.Parallel()
	s := setup(t)
	m := s.internal(t, "POST", "/v1/sessions", jsonBody(`{"subject":"ann","refresh_token":false,"access_token_ttl":120}`)).want(t, 201).json(t)
	for _, name := range []string{"refresh_token", "refresh_expires_in"} {
		if value, has := m[name]; has {
			t.Errorf("%s is %v", name, value)
		}
	}
	introspected := s.internal(t, "POST", "/oauth2/introspect", form("token", at[string](t, m, "access_token"))).want(t, 200).json(t)
	ends, err := time.Parse(time.RFC3339, at[string](t, at[map[string]any](t, introspected, "session"), "expires_at"))
	if err != nil || ends.Unix() != int64(at[float64](t, introspected, "exp")) {
		t.Errorf("the session ends at %v, its token at %v, %v", ends, introspected["exp"], err)
	}
	id := at[string](t, at[map[string]any](t, m, "session"), "id")
	problem := s.internal(t, "PATCH", "/v1/sessions/"+id, jsonBody(`{"session_ttl":3600}`)).want(t, 400).json(t)
	if problem["pointer"] != "/session_ttl" {
		t.Errorf("%v", problem)
	}
}

// The trail says who acts: of a session that is created, and of what is done by its tokens. So does its history, once it has ended.
func TestAuditOfWhoActs(t *testing.T) {
	t.Parallel()
	support := map[string]any{"sub": "support-7", "iss": "https://staff.example.com"}
	for name, test := range map[string]struct {
		end       func(*service, session)
		sessionID bool // the trail names the session whose token it was
	}{
		"its own route": {func(s *service, own session) {
			s.public(t, "DELETE", "/v1/me/sessions/current", bearer(own.access)).want(t, 204)
		}, true},
		"by its id": {func(s *service, own session) {
			s.public(t, "DELETE", "/v1/me/sessions/"+own.id, bearer(own.access)).want(t, 204)
		}, true},
		"everywhere": {func(s *service, own session) {
			s.public(t, "DELETE", "/v1/me/sessions", bearer(own.access)).want(t, 200)
		}, true},
		"an access token": {func(s *service, own session) {
			s.public(t, "POST", "/oauth2/revoke", form("token", own.access)).want(t, 200)
		}, false},
		"a refresh token": {func(s *service, own session) {
			s.public(t, "POST", "/oauth2/revoke", form("token", own.refresh)).want(t, 200)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, events := audited(t)
			own := sessionOf(s.internal(t, "POST", "/v1/sessions", jsonBody(`{"subject":"ann","claims":{"role":"editor"},"acr":"gold","act":{"sub":"support-7","iss":"https://staff.example.com"}}`)).want(t, 201).json(t))
			test.end(s, own)
			want := map[string]any{"type": "subject", "id": "ann", "act": support}
			if test.sessionID {
				want["session_id"] = own.id
			}
			var created, ended any
			for _, e := range events() {
				if e["subject"] != "ann" {
					if actor, _ := e["actor"].(map[string]any); actor["act"] != nil || e["act"] != nil {
						t.Errorf("there is an actor for ben: %v", e)
					}
				} else if e["event"] == "session.created" {
					created = e["act"]
				} else {
					ended = e["actor"]
				}
			}
			if diff := cmp.Diff(any(support), created); diff != "" {
				t.Errorf("created (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(any(want), ended); diff != "" {
				t.Errorf("ended (-want +got):\n%s", diff)
			}
			history := s.internal(t, "GET", "/v1/sessions/"+own.id+"/history").want(t, 200).json(t)
			if diff := cmp.Diff(any(support), history["act"]); diff != "" || history["acr"] != "gold" || history["claims"] != nil {
				t.Errorf("%v", history)
			}
		})
	}
}
