package httpapi_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ids returns the ids of a list, and which of them is marked as the current one.
func ids(t *testing.T, m map[string]any) (all []string, current string) {
	t.Helper()
	all = []string{}
	for _, item := range at[[]any](t, m, "sessions") {
		session, ok := item.(map[string]any)
		if !ok {
			t.Fatalf("%T in a list", item)
		}
		for _, private := range []string{"data", "checksum"} {
			if _, has := session[private]; has {
				t.Errorf("a list has %s", private)
			}
		}
		id := at[string](t, session, "id")
		all = append(all, id)
		if session["current"] == true {
			current += id
		}
	}
	return all, current
}

func TestCurrentSession(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := sessionOf(s.internal(t, "POST", "/v1/sessions", jsonBody(
		`{"subject":"ann","data":{"note":"`+secretData+`"},"client":{"label":"phone","user_agent":"app/1","ip":"203.0.113.7"}}`)).want(t, 201).json(t))
	answer := s.public(t, "GET", "/v1/me/sessions/current", bearer(session.access)).want(t, 200)
	m := answer.json(t)
	for _, time := range []string{"created_at", "updated_at", "expires_at"} {
		if text, _ := m[time].(string); !strings.HasSuffix(text, "Z") {
			t.Errorf("%s is %v, want a time in UTC", time, m[time])
		}
		delete(m, time)
	}
	if diff := cmp.Diff(map[string]any{
		"id": session.id, "subject": "ann", "client_id": "latchkey", "current": true,
		"client": map[string]any{"label": "phone", "user_agent": "app/1", "ip": "203.0.113.7"},
	}, m); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if answer.Header.Get("Cache-Control") != "no-store" {
		t.Error("the answer may be kept")
	}
}

// Security 7 (ASVS 7.4.1).
func TestLogOut(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session, other := s.create(t, "ann"), s.create(t, "ann")
	s.public(t, "DELETE", "/v1/me/sessions/current", bearer(session.access)).want(t, 204)
	if s.accepted(t, session.access) || !s.accepted(t, other.access) {
		t.Error("the one session alone must have ended")
	}
	s.refresh(t, session.refresh).wantProblem(t, 400, "invalid_grant")
	s.public(t, "DELETE", "/v1/me/sessions/current", bearer(session.access)).wantProblem(t, 401, "invalid_token")
}

func TestListOwnSessions(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first, second, ended := s.create(t, "ann"), s.create(t, "ann"), s.create(t, "ann")
	s.create(t, "bob")
	s.internal(t, "DELETE", "/v1/sessions/"+ended.id).want(t, 204)

	all, current := ids(t, s.public(t, "GET", "/v1/me/sessions", bearer(first.access)).want(t, 200).json(t))
	if diff := cmp.Diff([]string{second.id, first.id}, all); diff != "" || current != first.id {
		t.Errorf("current %s: %s", current, diff)
	}

	page := s.public(t, "GET", "/v1/me/sessions?limit=1", bearer(first.access)).want(t, 200).json(t)
	one, _ := ids(t, page)
	rest := s.public(t, "GET", "/v1/me/sessions?limit=1&cursor="+at[string](t, page, "next_cursor"), bearer(first.access)).want(t, 200).json(t)
	two, _ := ids(t, rest)
	if diff := cmp.Diff([]string{second.id, first.id}, append(one, two...)); diff != "" {
		t.Error(diff)
	}
	if _, has := rest["next_cursor"]; has {
		t.Error("the last page has a cursor")
	}
}

// Security 7 (ASVS 7.4.5): everywhere, or everywhere else.
func TestSignOutEverywhere(t *testing.T) {
	t.Parallel()
	s := setup(t)
	one, two, three, bob := s.create(t, "ann"), s.create(t, "ann"), s.create(t, "ann"), s.create(t, "bob")
	m := s.public(t, "DELETE", "/v1/me/sessions?keep=current", bearer(one.access)).want(t, 200).json(t)
	if m["revoked"] != 2.0 || !s.accepted(t, one.access) || s.accepted(t, two.access) || s.accepted(t, three.access) {
		t.Errorf("%v: everything but the current one must have ended", m)
	}
	m = s.public(t, "DELETE", "/v1/me/sessions", bearer(one.access)).want(t, 200).json(t)
	if m["revoked"] != 1.0 || s.accepted(t, one.access) {
		t.Errorf("%v: the current one must have ended", m)
	}
	s.refresh(t, two.refresh).wantProblem(t, 400, "invalid_grant")
	if !s.accepted(t, bob.access) {
		t.Error("another subject was signed out")
	}
	s.public(t, "DELETE", "/v1/me/sessions?keep=all", bearer(bob.access)).wantProblem(t, 400, "invalid_parameter")
	s.public(t, "DELETE", "/v1/me/sessions?keep=", bearer(bob.access)).wantProblem(t, 400, "invalid_parameter")
	s.public(t, "DELETE", "/v1/me/sessions?kept=current", bearer(bob.access)).wantProblem(t, 400, "unknown_parameter")
	if !s.accepted(t, bob.access) {
		t.Error("a refused request had an effect")
	}
}

// Security 19: another's session is answered to the byte like one that is not.
func TestOneSubjectCannotEndAnothersSession(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ann, sibling, bob, anonymous, nobody := s.create(t, "ann"), s.create(t, "ann"), s.create(t, "bob"), s.create(t, ""), s.create(t, "")
	for _, caller := range []session{ann, anonymous} {
		unknown := s.public(t, "DELETE", "/v1/me/sessions/01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91", bearer(caller.access), header("X-Request-Id", "x"))
		unknown.wantProblem(t, 404, "session_not_found")
		for _, id := range []string{bob.id, nobody.id, "nothing", strings.ToUpper(bob.id) + "x", "{" + bob.id[1:35] + "}"} {
			answer := s.public(t, "DELETE", "/v1/me/sessions/"+id, bearer(caller.access), header("X-Request-Id", "x"))
			if string(answer.body) != string(unknown.body) {
				t.Errorf("%s is told apart: %s", id, answer.body)
			}
		}
		all, _ := ids(t, s.public(t, "GET", "/v1/me/sessions", bearer(caller.access)).want(t, 200).json(t))
		for _, id := range all {
			if id == bob.id || id == nobody.id {
				t.Error("another's session is in the list")
			}
		}
	}
	if !s.accepted(t, bob.access) || !s.accepted(t, nobody.access) {
		t.Error("another's session was ended")
	}
	s.public(t, "DELETE", "/v1/me/sessions/"+sibling.id, bearer(ann.access)).want(t, 204)
	if s.accepted(t, sibling.access) || !s.accepted(t, ann.access) {
		t.Error("the sibling alone must have ended")
	}
	s.public(t, "DELETE", "/v1/me/sessions/"+ann.id, bearer(ann.access)).want(t, 204)
	if s.accepted(t, ann.access) {
		t.Error("the session could not end itself by its id")
	}
}

// A session without a subject is separate from all others: others without one are strangers.
func TestSessionWithoutASubject(t *testing.T) {
	t.Parallel()
	s := setup(t)
	own, other := s.create(t, ""), s.create(t, "")
	all, current := ids(t, s.public(t, "GET", "/v1/me/sessions?limit=10", bearer(own.access)).want(t, 200).json(t))
	if diff := cmp.Diff([]string{own.id}, all); diff != "" || current != own.id {
		t.Error(diff, current)
	}
	m := s.public(t, "DELETE", "/v1/me/sessions?keep=current", bearer(own.access)).want(t, 200).json(t)
	if m["revoked"] != 0.0 || !s.accepted(t, own.access) {
		t.Errorf("%v", m)
	}
	m = s.public(t, "DELETE", "/v1/me/sessions", bearer(own.access)).want(t, 200).json(t)
	if m["revoked"] != 1.0 || s.accepted(t, own.access) || !s.accepted(t, other.access) {
		t.Errorf("%v: the one session alone must have ended", m)
	}
	third := s.create(t, "")
	s.public(t, "DELETE", "/v1/me/sessions/"+third.id, bearer(third.access)).want(t, 204)
}

// Security 20: lists are bounded.
func TestListParameters(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	for query, code := range map[string]string{
		"limit=0": "invalid_parameter", "limit=-1": "invalid_parameter", "limit=201": "invalid_parameter",
		"limit=1e2": "invalid_parameter", "limit=": "invalid_parameter", "limit=1&limit=2": "duplicate_parameter",
		"limit=99999999999999999999": "invalid_parameter", "cursor=": "invalid_parameter", "cursor=x": "invalid_parameter",
		"cursor=%zz": "invalid_parameter", "page=2": "unknown_parameter", "LIMIT=1": "unknown_parameter",
		"access_token=x": "token_in_query", // security 15
	} {
		m := s.public(t, "GET", "/v1/me/sessions?"+query, bearer(session.access)).wantProblem(t, 400, code)
		if name, _, _ := strings.Cut(query, "="); m["parameter"] != name && !strings.Contains(query, "%") {
			t.Errorf("%s: the problem names %v", query, m["parameter"])
		}
	}
	for range 3 {
		s.create(t, "eve")
	}
	for limit, want := range map[int]int{1: 1, 3: 3, 200: 3} {
		all, _ := ids(t, s.internal(t, "GET", "/v1/sessions?subject=eve&limit="+strconv.Itoa(limit)).want(t, 200).json(t))
		if len(all) != want {
			t.Errorf("limit %d: %d sessions", limit, len(all))
		}
	}
}
