package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/auditschema"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// audited is a service with an audit trail. The returned function stops the trail
// and returns its events: each conforms to the schema, and none contains a
// secret.
func audited(t *testing.T, change ...func(*httpapi.Config, *sessionstore.Config)) (*service, func() []map[string]any) {
	t.Helper()
	out := &logBuffer{}
	trail, err := audit.New(audit.Config{Output: out, Origin: httpapi.Origin})
	if err != nil {
		t.Fatal(err)
	}
	s := setup(t, append(change, func(_ *httpapi.Config, cfg *sessionstore.Config) {
		cfg.Observers = append(cfg.Observers, trail.Sessions())
	})...)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- trail.Run(ctx) }()
	return s, func() []map[string]any {
		t.Helper()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		text := out.String()
		for _, secret := range s.secrets {
			if strings.Contains(text, secret) {
				t.Errorf("the audit trail has the secret %q", secret)
			}
		}
		return auditschema.Events(t, text)
	}
}

// act is a request that changes something, and the one event that it gives.
type act struct {
	do   func(t *testing.T, s *service, ada session) response
	want map[string]any // in addition to what all events have; "ada" means the id of that user's session
}

var (
	byBackend = map[string]any{"type": "service_key", "id": "backend"}
	byAda     = map[string]any{"type": "subject", "id": "ada", "session_id": "ada"}
)

// acts are all operations that change something. One whose event is nil changes no
// session; the reason is next to it.
var acts = map[string]*act{
	"POST /v1/sessions": {func(t *testing.T, s *service, _ session) response {
		t.Helper()
		return s.internal(t, "POST", "/v1/sessions", jsonBody(`{"subject":"ada","data":{"note":"`+secretData+`"}}`)).want(t, 201)
	}, map[string]any{"event": "session.created", "actor": byBackend, "subject": "ada", "client_id": "latchkey", "session_id": "new"}},
	"PUT /v1/sessions/{id}/data": {func(t *testing.T, s *service, ada session) response {
		t.Helper()
		return s.internal(t, "PUT", "/v1/sessions/"+ada.id+"/data", jsonBody(`{"other":"`+secretData+`"}`), header("If-Match", `"`+ada.checksum+`"`)).want(t, 200)
	}, map[string]any{"event": "session.updated", "actor": byBackend, "session_id": "ada"}},
	"PUT /v1/sessions/{id}/claims": {func(t *testing.T, s *service, ada session) response {
		t.Helper()
		return s.putClaims(t, ada.id, "", s.internal(t, "GET", "/v1/sessions/"+ada.id+"/claims").Header.Get("ETag"), `{"role":"`+secretData+`"}`).want(t, 200)
	}, map[string]any{"event": "session.claims_set", "actor": byBackend, "client_id": "latchkey", "session_id": "ada", "subject": "ada"}},
	"PATCH /v1/sessions/{id}": {func(t *testing.T, s *service, ada session) response {
		t.Helper()
		return s.internal(t, "PATCH", "/v1/sessions/"+ada.id, jsonBody(`{"session_ttl":7200}`)).want(t, 200)
	}, map[string]any{"event": "session.patched", "actor": byBackend, "client_id": "latchkey", "session_id": "ada", "subject": "ada"}},
	"PATCH /v1/me/sessions/{id}": {func(t *testing.T, s *service, ada session) response {
		t.Helper()
		return s.public(t, "PATCH", "/v1/me/sessions/"+ada.id, jsonBody(`{"client":{"label":"laptop"}}`), bearer(ada.access)).want(t, 200)
	}, map[string]any{"event": "session.patched", "actor": byAda, "client_id": "latchkey", "session_id": "ada", "subject": "ada"}},
	"DELETE /v1/sessions/{id}": {func(t *testing.T, s *service, ada session) response {
		t.Helper()
		return s.internal(t, "DELETE", "/v1/sessions/"+ada.id).want(t, 204)
	}, map[string]any{"event": "session.revoked", "actor": byBackend, "client_id": "latchkey", "session_id": "ada", "subject": "ada", "reason": "requested"}},
	"DELETE /v1/sessions": {func(t *testing.T, s *service, _ session) response {
		t.Helper()
		return s.internal(t, "DELETE", "/v1/sessions?subject=ada").want(t, 200)
	}, map[string]any{"event": "sessions.revoked", "actor": byBackend, "subject": "ada", "count": 2., "clients": map[string]any{"latchkey": 2.}, "reason": "requested"}},
	"POST /v1/global-token-revocation": {func(t *testing.T, s *service, _ session) response {
		t.Helper()
		return s.internal(t, "POST", "/v1/global-token-revocation", jsonBody(`{"sub_id":{"format":"opaque","id":"ada"}}`)).want(t, 204)
	}, map[string]any{"event": "sessions.revoked", "actor": byBackend, "subject": "ada", "count": 2., "clients": map[string]any{"latchkey": 2.}, "reason": "requested"}},
	"POST /oauth2/revoke": {func(t *testing.T, s *service, ada session) response {
		t.Helper()
		return s.public(t, "POST", "/oauth2/revoke", form("token", ada.refresh)).want(t, 200)
	}, map[string]any{"event": "session.revoked", "actor": map[string]any{"type": "subject", "id": "ada"}, "client_id": "latchkey", "session_id": "ada", "subject": "ada", "reason": "requested"}},
	"DELETE /v1/me/sessions/current": {func(t *testing.T, s *service, ada session) response {
		t.Helper()
		return s.public(t, "DELETE", "/v1/me/sessions/current", bearer(ada.access)).want(t, 204)
	}, map[string]any{"event": "session.revoked", "actor": byAda, "client_id": "latchkey", "session_id": "ada", "subject": "ada", "reason": "requested"}},
	"DELETE /v1/me/sessions/{id}": {func(t *testing.T, s *service, ada session) response {
		t.Helper()
		return s.public(t, "DELETE", "/v1/me/sessions/"+ada.id, bearer(ada.access)).want(t, 204)
	}, map[string]any{"event": "session.revoked", "actor": byAda, "client_id": "latchkey", "session_id": "ada", "subject": "ada", "reason": "requested"}},
	"DELETE /v1/me/sessions": {func(t *testing.T, s *service, ada session) response {
		t.Helper()
		return s.public(t, "DELETE", "/v1/me/sessions?keep=current", bearer(ada.access)).want(t, 200)
	}, map[string]any{"event": "sessions.revoked", "actor": byAda, "kept_session_id": "ada", "subject": "ada", "count": 1., "clients": map[string]any{"latchkey": 1.}, "reason": "requested"}},

	"POST /oauth2/token":      nil, // refreshes are counted, see the metrics; a theft has its own test
	"POST /oauth2/introspect": nil, // it reads

	"POST /v1/events/dead/resend": nil, // it changes no session; the owner of the deliveries records it
}

// Each operation of the API that changes something gives exactly one event. One
// that is not in the list fails the test.
func TestEachChangeIsAudited(t *testing.T) {
	t.Parallel()
	all := map[string]bool{}
	probe := setup(t)
	for _, answer := range []response{probe.public(t, "GET", "/openapi.yaml"), probe.internal(t, "GET", "/openapi.yaml")} {
		_, operations := described(t, answer)
		for _, operation := range operations {
			if strings.HasPrefix(operation, http.MethodGet+" ") {
				continue
			}
			all[operation] = true
			if _, listed := acts[operation]; !listed {
				t.Errorf("the list does not say which audit event %s gives", operation)
			}
		}
	}
	for operation, a := range acts {
		if !all[operation] {
			t.Errorf("there is no %s", operation)
		}
		if a == nil {
			continue
		}
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			s, events := audited(t)
			ada, other := s.create(t, "ada"), s.create(t, "ada")
			answer := a.do(t, s, ada)
			got := events()
			if len(got) != 3 {
				t.Fatalf("%d events, want two for the preparation, and one: %v", len(got), got)
			}
			e := got[2]
			if e["request_id"] != answer.Header.Get("X-Request-Id") || e["client_ip"] != "192.0.2.1" {
				t.Errorf("request %v from %v", e["request_id"], e["client_ip"])
			}
			for _, varies := range []string{"time", "id", "request_id", "client_ip"} {
				delete(e, varies)
			}
			if e["event"] == "session.created" {
				if e["session_id"] == ada.id || e["session_id"] == other.id || e["session_id"] != sessionOf(answer.json(t)).id {
					t.Errorf("session %v", e["session_id"])
				}
				e["session_id"] = "new"
			}
			if diff := cmp.Diff(a.want, named(e, ada.id)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// named says "ada" in place of the id of that user's session.
func named(e map[string]any, id string) map[string]any {
	named := map[string]any{}
	for name, value := range e {
		switch v := value.(type) {
		case string:
			if v == id {
				value = "ada"
			}
		case map[string]any:
			value = namedActor(v, id)
		}
		named[name] = value
	}
	return named
}

func namedActor(actor map[string]any, id string) map[string]any {
	if actor["session_id"] == id {
		actor["session_id"] = "ada"
	}
	return actor
}

// Events report only what happened: what was refused, or changed nothing,
// gives none.
func TestOnlyChangesAreAudited(t *testing.T) {
	t.Parallel()
	s, events := audited(t, func(_ *httpapi.Config, cfg *sessionstore.Config) {
		cfg.SessionsPerSubject, cfg.SessionsPerSubjectAction = 1, sessionstore.RefuseNew
	})
	ada := s.create(t, "ada")
	s.internal(t, "POST", "/v1/sessions", jsonBody(`{"subject":"ada","data":{}}`)).want(t, 409)
	s.internal(t, "POST", "/v1/sessions", jsonBody(`{"subject":"ada","data":[]}`)).want(t, 400)
	s.internal(t, "DELETE", "/v1/sessions/"+ada.id, bearer("wrong")).want(t, 401)
	s.internal(t, "DELETE", "/v1/sessions?subject=bob").want(t, 200)
	s.internal(t, "PUT", "/v1/sessions/"+ada.id+"/data", jsonBody(`{}`), header("If-Match", `"stale"`)).want(t, 412)
	s.internal(t, "PUT", "/v1/sessions/"+ada.id+"/data", jsonBody(`{"note":"`+secretData+`"}`), header("If-Match", `"`+ada.checksum+`"`)).want(t, 200)
	s.public(t, "POST", "/oauth2/revoke", form("token", "nonsense")).want(t, 200)
	s.public(t, "DELETE", "/v1/me/sessions?keep=current", bearer(ada.access)).want(t, 200)
	s.refresh(t, ada.refresh).want(t, 200)
	s.internal(t, "DELETE", "/v1/sessions/"+ada.id).want(t, 204)
	s.internal(t, "DELETE", "/v1/sessions/"+ada.id).want(t, 204) // once more
	s.pool.Close()
	s.internal(t, "DELETE", "/v1/sessions/"+ada.id).want(t, 503)

	var names []any
	for _, e := range events() {
		names = append(names, e["event"])
	}
	if diff := cmp.Diff([]any{"session.created", "session.revoked"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An event of the service's own action says so, and names the request that caused
// it.
func TestServiceIsAnActor(t *testing.T) {
	t.Parallel()
	s, events := audited(t, func(_ *httpapi.Config, cfg *sessionstore.Config) { cfg.SessionsPerSubject = 1 })
	ada := s.create(t, "ada")
	refreshed := sessionOf(s.refresh(t, ada.refresh).want(t, 200).json(t))
	// The pair was in use for longer than the grace, and its predecessor comes back.
	if _, err := s.pool.Exec(t.Context(), `UPDATE "sessionStoreToken" SET "issuedAt" = now() - interval '1 hour', "settledAt" = now() - interval '1 hour', "confirmedAt" = now() - interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	theft := s.refresh(t, ada.refresh)
	theft.want(t, 400)
	s.refresh(t, refreshed.refresh).want(t, 400)
	first := s.create(t, "ada")
	second := s.create(t, "ada")
	without := s.create(t, "")
	s.public(t, "DELETE", "/v1/me/sessions/current", bearer(without.access)).want(t, 204)

	type brief struct{ Event, Actor, Session, Subject, Reason, Theft any }
	var got []brief
	list := events()
	for _, e := range list {
		actor, _ := e["actor"].(map[string]any)
		got = append(got, brief{e["event"], actor["type"], e["session_id"], e["subject"], e["reason"], e["theft"]})
	}
	if diff := cmp.Diff([]brief{
		{"session.created", "service_key", ada.id, "ada", nil, nil},
		{"session.revoked", "system", ada.id, "ada", "token_reuse", "stale"},
		{"session.created", "service_key", first.id, "ada", nil, nil},
		{"session.created", "service_key", second.id, "ada", nil, nil},
		{"sessions.revoked", "system", nil, "ada", "limit", nil},
		{"session.created", "service_key", without.id, nil, nil, nil},
		{"session.revoked", "session", without.id, nil, "requested", nil},
	}, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(any(map[string]any{"latchkey": 1.}), list[4]["clients"]); diff != "" {
		t.Errorf("whose session the limit ended (-want +got):\n%s", diff)
	}
	if list[1]["request_id"] != theft.Header.Get("X-Request-Id") || list[3]["request_id"] != list[4]["request_id"] {
		t.Error("the request that was the cause is not named")
	}
}
