package httpapi_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// A session of each of two clients: in its documents, at the token endpoint and in
// introspections.
func TestTwoClients(t *testing.T) {
	t.Parallel()
	s := setup(t, func(_ *httpapi.Config, store *sessionstore.Config) {
		store.Clients = []sessionstore.OAuthClient{
			{ID: "agent", Audiences: []string{"https://mcp.example.com", "https://files.example.com"}},
			{ID: "wallet", RequireProof: true},
		}
	})
	refresh := func(token string, more ...string) response {
		return s.public(t, "POST", "/oauth2/token", form(append([]string{"grant_type", "refresh_token", "refresh_token", token}, more...)...))
	}
	for _, test := range []struct {
		body, id, another string
		audience          any
		resource          string
	}{
		{`{"subject":"ann"}`, "latchkey", "agent", "latchkey", "latchkey"},
		{`{"subject":"ann","client_id":"agent"}`, "agent", "latchkey", []any{"https://mcp.example.com", "https://files.example.com"}, "https://mcp.example.com"},
	} {
		created := s.internal(t, "POST", "/v1/sessions", jsonBody(test.body)).want(t, 201)
		session := at[map[string]any](t, created.json(t), "session")
		if session["client_id"] != test.id {
			t.Errorf("created: %v", session["client_id"])
		}
		token := at[string](t, created.json(t), "refresh_token")
		for name, more := range map[string][]string{
			"another client":              {"client_id", test.another},
			"another client and resource": {"client_id", test.another, "resource", test.resource},
		} {
			if got := at[string](t, refresh(token, more...).want(t, 400).json(t), "error"); got != "invalid_grant" {
				t.Errorf("%s: %s", name, got)
			}
		}
		for name, more := range map[string][]string{
			"unknown client": {"client_id", "stranger"}, "unknown resource": {"resource", "https://other.example.com"},
			"one too many":  {"resource", test.resource, "resource", "https://other.example.com"},
			"one of a path": {"resource", test.resource + "/"}, "one with a fragment": {"resource", test.resource + "#a"},
			"one with a query": {"resource", test.resource + "?a"}, "a relative one": {"resource", "/mcp"}, "a space": {"resource", " "},
			"two in one": {"resource", test.resource + " " + test.resource},
		} {
			want := map[bool]string{true: "invalid_client", false: "invalid_target"}[name == "unknown client"]
			if got := at[string](t, refresh(token, more...).want(t, 400).json(t), "error"); got != want {
				t.Errorf("%s: %s", name, got)
			}
		}
		pair := refresh(token, "client_id", test.id, "resource", test.resource, "resource", test.resource, "resource", "").want(t, 200)
		introspected := s.internal(t, "POST", "/oauth2/introspect", form("token", at[string](t, pair.json(t), "access_token"))).want(t, 200).json(t)
		got := []any{introspected["client_id"], introspected["aud"], at[map[string]any](t, introspected, "session")["client_id"]}
		if diff := cmp.Diff([]any{test.id, test.audience, test.id}, got); diff != "" {
			t.Error(diff)
		}
		checked := s.public(t, "GET", "/v1/check/require/audience="+url.QueryEscape(test.resource)+"/orders", bearer(at[string](t, pair.json(t), "access_token"))).want(t, 200)
		if client := checked.Header.Get("Latchkey-Client"); client != test.id {
			t.Errorf("a gateway is told that the user is %q", client)
		}
		s.public(t, "GET", "/v1/check/require/audience=orders", bearer(at[string](t, pair.json(t), "access_token"))).wantProblem(t, 403, "wrong_audience")
		own := s.public(t, "GET", "/v1/me/sessions/current", bearer(at[string](t, pair.json(t), "access_token"))).want(t, 200)
		if at[string](t, own.json(t), "client_id") != test.id {
			t.Errorf("own: %s", at[string](t, own.json(t), "client_id"))
		}
	}
	for _, test := range []struct{ body, pointer, detail string }{
		{`{"client_id":"stranger"}`, "/client_id", "Not known: it must be one of latchkey, agent, wallet."},
		{`{"client_id":""}`, "/client_id", "It is empty. Leave it out for the first client."},
		{`{"client_id":"wallet"}`, "/dpop_jkt", `Missing: the client "wallet" needs one.`},
	} {
		answer := s.internal(t, "POST", "/v1/sessions", jsonBody(test.body)).want(t, 400)
		if at[string](t, answer.json(t), "pointer") != test.pointer || at[string](t, answer.json(t), "detail") != test.detail {
			t.Errorf("%s: %s, %s", test.body, at[string](t, answer.json(t), "pointer"), at[string](t, answer.json(t), "detail"))
		}
	}
}
