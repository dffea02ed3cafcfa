package httpapi_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Each way in which a session ends has its reason, and who or what ended it.
func TestEndings(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for name, test := range map[string]struct {
		end        func(own, other session) // the own session ends
		reason, by string                   // empty: the id of the other one
	}{
		"by its access token": {func(own, _ session) {
			s.public(t, "DELETE", "/v1/me/sessions/current", bearer(own.access)).want(t, 204)
		}, "signed_out", "own"},
		"by its id": {func(own, _ session) {
			s.public(t, "DELETE", "/v1/me/sessions/"+own.id, bearer(own.access)).want(t, 204)
		}, "signed_out", "own"},
		"by its refresh token": {func(own, _ session) { s.public(t, "POST", "/oauth2/revoke", form("token", own.refresh)).want(t, 200) }, "signed_out", "own"},
		"from elsewhere": {func(own, other session) {
			s.public(t, "DELETE", "/v1/me/sessions/"+own.id, bearer(other.access)).want(t, 204)
		}, "signed_out_elsewhere", "other"},
		"everywhere": {func(_, other session) { s.public(t, "DELETE", "/v1/me/sessions", bearer(other.access)).want(t, 200) }, "signed_out_everywhere", "other"},
		"with all others": {func(_, other session) {
			s.public(t, "DELETE", "/v1/me/sessions?keep=current", bearer(other.access)).want(t, 200)
		}, "signed_out_everywhere", "other"},
		"by a backend": {func(own, _ session) { s.internal(t, "DELETE", "/v1/sessions/"+own.id).want(t, 204) }, "backend", "backend"},
		"by an identity provider": {func(session, session) {
			s.internal(t, "POST", "/v1/global-token-revocation", jsonBody(`{"sub_id":{"format":"opaque","id":"xxxxxxxxx"}}`)).want(t, 204)
		}, "global_revocation", "backend"},
		"by a backend, all others": {func(session, session) {
			s.internal(t, "DELETE", "/v1/sessions?subject="+strings.Repeat("x", 9)).want(t, 200)
		}, "backend", "backend"},
	} {
		own, other := s.create(t, "xxxxxxxxx"), s.create(t, "xxxxxxxxx")
		test.end(own, other)
		switch test.by {
		case "own":
			test.by = own.id
		case "other":
			test.by = other.id
		}
		document := s.internal(t, "GET", "/v1/sessions/"+own.id).want(t, 200).json(t)
		ended, _ := document["ended"].(map[string]any)
		if diff := cmp.Diff(map[string]any{"at": document["revoked_at"], "reason": test.reason, "by": test.by}, ended); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		history := s.internal(t, "GET", "/v1/sessions/"+own.id+"/history").want(t, 200).json(t)
		if diff := cmp.Diff(document["ended"], history["ended"]); diff != "" {
			t.Errorf("%s, in its history: %s", name, diff)
		}
	}
}

// A session that ends for another one names it.
func TestLimitEnding(t *testing.T) {
	t.Parallel()
	s := setup(t, func(_ *httpapi.Config, cfg *sessionstore.Config) { cfg.SessionsPerSubject = 1 })
	oldest, newest := s.create(t, "ann"), s.create(t, "ann")
	ended, _ := s.internal(t, "GET", "/v1/sessions/"+oldest.id).want(t, 200).json(t)["ended"].(map[string]any)
	if ended["reason"] != "limit" || ended["by"] != newest.id {
		t.Errorf("%v", ended)
	}
}

// Lists of ended sessions, of one subject and of all, and refused parameters.
func TestListEndedSessions(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first, second, bob, live := s.create(t, "ann"), s.create(t, "ann"), s.create(t, "bob"), s.create(t, "ann")
	for _, session := range []session{second, bob, first} {
		s.internal(t, "DELETE", "/v1/sessions/"+session.id).want(t, 204)
	}
	for query, want := range map[string][]string{
		"": {live.id}, "ended=false": {live.id}, "ended=true": {first.id, bob.id, second.id},
		"ended=true&subject=ann": {second.id, first.id}, "ended=true&since=2100-01-01T00:00:00Z": {},
		"ended=true&since=2000-01-01T00:00:00%2B01:00&subject=bob": {bob.id},
		"address=192.0.2.0/24": {}, "ended=true&label=phone": {},
	} {
		if query != "" {
			query = "?" + query
		}
		var got []string
		m := s.internal(t, "GET", "/v1/sessions"+query).want(t, 200).json(t)
		got, _ = ids(t, m)
		if diff := cmp.Diff(want, append([]string{}, got...)); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	page := s.internal(t, "GET", "/v1/sessions?ended=true&limit=1").want(t, 200).json(t)
	next := s.internal(t, "GET", "/v1/sessions?ended=true&limit=1&cursor="+at[string](t, page, "next_cursor")).want(t, 200).json(t)
	if got, _ := ids(t, next); len(got) != 1 || got[0] != bob.id {
		t.Errorf("the second page: %v", got)
	}
	for query, parameter := range map[string]string{
		"ended=1": "ended", "since=2000-01-01T00:00:00Z": "since", "ended=true&since=yesterday": "since",
		"ended=true&since=0000-01-01T00:00:00Z": "since", "address=home": "address", "address=fe80::1%2525eth0": "address",
		"label=" + strings.Repeat("x", 201): "label", "label=%00": "label", "ended=true&cursor=x": "cursor",
	} {
		if m := s.internal(t, "GET", "/v1/sessions?"+query).wantProblem(t, 400, "invalid_parameter"); m["parameter"] != parameter {
			t.Errorf("%s: the problem names %v", query, m["parameter"])
		}
	}
	s.internal(t, "GET", "/v1/sessions/nothing/history").wantProblem(t, 404, "session_not_found")
}

// The users themselves see neither what has ended nor who ended it.
func TestOwnListHasNoEndings(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ended, live := s.create(t, "ann"), s.create(t, "ann")
	s.internal(t, "DELETE", "/v1/sessions/"+ended.id).want(t, 204)
	m := s.public(t, "GET", "/v1/me/sessions", bearer(live.access)).want(t, 200).json(t)
	if got, _ := ids(t, m); len(got) != 1 || got[0] != live.id {
		t.Errorf("%v", got)
	}
	s.public(t, "GET", "/v1/me/sessions?ended=true", bearer(live.access)).wantProblem(t, 400, "unknown_parameter")
	s.public(t, "GET", "/v1/sessions/"+live.id+"/history", bearer(serviceKey)).want(t, 404)
}

func TestHistory(t *testing.T) {
	t.Parallel()
	s := setup(t)
	created := s.internal(t, "POST", "/v1/sessions", jsonBody(`{"subject":"ann","client":{"label":"phone","ip":"192.0.2.7"}}`)).want(t, 201).json(t)
	session := sessionOf(created)
	document, _ := created["session"].(map[string]any)
	want := map[string]any{
		"id": session.id, "subject": "ann",
		"created":    map[string]any{"at": document["created_at"], "client": document["client"]},
		"refreshed":  map[string]any{"times": 0.0},
		"expires_at": document["expires_at"],
	}
	if diff := cmp.Diff(want, s.internal(t, "GET", "/v1/sessions/"+session.id+"/history").want(t, 200).json(t)); diff != "" {
		t.Errorf("a new session: %s", diff)
	}
	s.refresh(t, session.refresh).want(t, 200)
	s.internal(t, "PUT", "/v1/sessions/"+session.id+"/data", header("If-Match", `"`+session.checksum+`"`), jsonBody(`{"a":1}`)).want(t, 200)
	document = s.internal(t, "GET", "/v1/sessions/"+session.id).want(t, 200).json(t)
	history := s.internal(t, "GET", "/v1/sessions/"+session.id+"/history").want(t, 200).json(t)
	refreshed := map[string]any{"times": 1.0, "at": document["refreshed_at"], "client": document["last_client"]}
	if diff := cmp.Diff(refreshed, history["refreshed"]); diff != "" {
		t.Errorf("refreshed: %s", diff)
	}
	if diff := cmp.Diff(any(map[string]any{"at": document["updated_at"]}), history["updated"]); diff != "" {
		t.Errorf("updated: %s", diff)
	}
}

// Of a step-up, a guest who signs in, and claims that take effect at once, it has the last of each.
func TestHistoryOfPrivileges(t *testing.T) {
	t.Parallel()
	s := setup(t)
	history := func(id string) map[string]any {
		t.Helper()
		return s.internal(t, "GET", "/v1/sessions/"+id+"/history").want(t, 200).json(t)
	}
	create := func(body string) string {
		t.Helper()
		return sessionOf(s.internal(t, "POST", "/v1/sessions", jsonBody(body)).want(t, 201).json(t)).id
	}
	guest := create(`{}`)
	user := create(`{"subject":"ann","replaces":"` + guest + `"}`)
	raised := create(`{"replaces":"` + user + `","auth_time":1767225890,"acr":"urn:example:gold","amr":["otp"]}`)
	if diff := cmp.Diff(any(map[string]any{"id": guest}), history(user)["replaces"]); diff != "" {
		t.Errorf("a guest who signed in: %s", diff)
	}
	got := history(raised)
	for member, want := range map[string]any{
		"replaces":  map[string]any{"id": user, "subject": "ann"},
		"auth_time": 1767225890.0, "acr": "urn:example:gold", "amr": []any{"otp"}, "superseded": nil,
	} {
		if diff := cmp.Diff(want, got[member]); diff != "" {
			t.Errorf("a step-up, %s: %s", member, diff)
		}
	}
	read := s.internal(t, "GET", "/v1/sessions/"+raised+"/claims").want(t, 200)
	s.putClaims(t, raised, "?supersede=true", read.Header.Get("ETag"), `{"role":"reader"}`).want(t, 200)
	if got, _ := history(raised)["superseded"].(map[string]any); got["at"] == nil {
		t.Errorf("claims that take effect at once: %v", got)
	}
}
