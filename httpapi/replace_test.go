package httpapi_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A guest signs in: the cart goes along, and the guest's tokens are not valid.
func TestReplace(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, by := range []func(session) string{
		func(s session) string { return s.id }, func(s session) string { return s.access }, func(s session) string { return s.refresh },
	} {
		guest := sessionOf(s.internal(t, "POST", "/v1/sessions", jsonBody(`{"data":{"cart":[7]},"client":{"label":"kiosk"},"claims":{"role":"guest"}}`)).want(t, 201).json(t))
		body := `{"replaces":"` + by(guest) + `","subject":"ann"}`
		answer := s.internal(t, "POST", "/v1/sessions", jsonBody(body)).want(t, 201)
		document := answer.json(t)
		made := at[map[string]any](t, document, "session")
		data, err := json.Marshal(made["data"])
		if err != nil {
			t.Fatal(err)
		}
		if made["id"] == guest.id || made["subject"] != "ann" || string(data) != `{"cart":[7]}` || made["claims"] != nil {
			t.Errorf("made %v", made)
		}
		if label := at[map[string]any](t, made, "client")["label"]; label != "kiosk" {
			t.Errorf("label %v", label)
		}
		if !s.accepted(t, at[string](t, document, "access_token")) {
			t.Error("the new access token is refused")
		}
		if s.accepted(t, guest.access) {
			t.Error("the guest's access token is accepted")
		}
		if got := s.refresh(t, guest.refresh).want(t, 400).json(t); got["error"] != "invalid_grant" {
			t.Errorf("the guest's refresh token: %v", got)
		}

		again := s.internal(t, "POST", "/v1/sessions", jsonBody(body)).want(t, 201)
		if again.Header.Get("Location") != answer.Header.Get("Location") {
			t.Error("the same request gives another session")
		}
		s.internal(t, "POST", "/v1/sessions", jsonBody(`{"replaces":"`+guest.id+`","subject":"eve"}`)).wantProblem(t, 409, "not_replaceable")
		s.internal(t, "POST", "/v1/sessions", jsonBody(`{"replaces":"`+guest.id+`"}`)).wantProblem(t, 409, "not_replaceable")
	}
	for _, wrong := range []string{`""`, `"x"`, `"urn:uuid:0190a5a0-0000-7000-8000-000000000000"`, `7`, `{}`} {
		s.internal(t, "POST", "/v1/sessions", jsonBody(`{"replaces":`+wrong+`}`)).wantProblem(t, 400, "invalid_member")
	}
	s.internal(t, "POST", "/v1/sessions", jsonBody(`{"replaces":"0190a5a0-0000-7000-8000-000000000000"}`)).wantProblem(t, 409, "not_replaceable")
}

// A replacement is two events of one request.
func TestReplacementIsAudited(t *testing.T) {
	t.Parallel()
	s, events := audited(t)
	guest := s.create(t, "visitor")
	body := jsonBody(`{"replaces":"` + guest.refresh + `","subject":"ada","act":{"sub":"support-7"}}`)
	answer := s.internal(t, "POST", "/v1/sessions", body).want(t, 201)
	s.internal(t, "POST", "/v1/sessions", body).want(t, 201) // again, which changes nothing
	type brief struct{ Event, Request, Session, Subject, Client, Reason any }
	var got []brief
	list := events()
	for _, e := range list {
		if actor, _ := e["actor"].(map[string]any); actor["type"] != "service_key" {
			t.Errorf("actor %v", actor)
		}
		got = append(got, brief{e["event"], e["request_id"], e["session_id"], e["subject"], e["client_id"], e["reason"]})
	}
	request := answer.Header.Get("X-Request-Id")
	if diff := cmp.Diff([]brief{
		{"session.created", got[0].Request, guest.id, "visitor", "latchkey", nil},
		{"session.created", request, sessionOf(answer.json(t)).id, "ada", "latchkey", nil},
		{"session.revoked", request, guest.id, "visitor", "latchkey", "replaced"},
	}, got); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff(map[string]any{"sub": "support-7"}, list[1]["act"]); diff != "" {
		t.Error(diff)
	}
}
