package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// Two clients in one service: each is created, refreshed and verified as its own, at
// resource servers that name their audience.
func TestTwoClientsInOneService(t *testing.T) {
	t.Parallel()
	file := writeFile(t, `[{"client_id":"agent","audiences":["https://mcp.example.com","https://files.example.com"],"access_token_ttl":"2m","origins":["https://agent.example.com"]}]`, t.TempDir(), "clients.json")
	s := start(t, t.TempDir(), configure(t, testdb.URL(t)).With(env{"LATCHKEY_CLIENTS_FILE": file, "LATCHKEY_CORS_ORIGINS": "https://app.example.com"}))
	edges := map[string]*verifier.Verifier{}
	for _, audience := range []string{"latchkey", "https://mcp.example.com", "https://files.example.com"} {
		edge, err := verifier.NewRemote(verifier.RemoteConfig{
			Tokens: tokens.Config{Issuer: "https://login.example.com", Audience: audience}, Internal: s.Internal, ServiceKey: testKey,
			Keys: s.Public + "/.well-known/jwks.json",
		}, verifier.Config{StrictTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		edges[audience] = edge
	}
	for id, other := range map[string]string{"latchkey": "agent", "agent": "latchkey"} {
		code, answer := s.Send(http.MethodPost, s.Internal+"/v1/sessions", testKey, `{"client_id":"`+id+`"}`)
		if code != http.StatusCreated {
			t.Fatalf("%d %s", code, answer)
		}
		pair := testservice.ParsePair(t, answer)
		if code, answer := refreshAs(t, s, pair, other); code != http.StatusBadRequest || !strings.Contains(answer, `"invalid_grant"`) {
			t.Errorf("%s as %s: %d %s", id, other, code, answer)
		}
		code, answer = refreshAs(t, s, pair, id)
		if code != http.StatusOK {
			t.Fatalf("%s: %d %s", id, code, answer)
		}
		var expiry struct {
			ExpiresIn int `json:"expires_in"`
		}
		if err := json.Unmarshal([]byte(answer), &expiry); err != nil || expiry.ExpiresIn != map[string]int{"latchkey": 300, "agent": 120}[id] {
			t.Errorf("%s: an access token of %d s, %v", id, expiry.ExpiresIn, err)
		}
		access := testservice.ParsePair(t, answer).AccessToken
		for audience, edge := range edges {
			claims, err := edge.Verify(t.Context(), access)
			if isFor := (audience == "latchkey") == (id == "latchkey"); isFor != (err == nil) || isFor && claims.ClientID != id {
				t.Errorf("%s at %s: %q, %v", id, audience, claims.ClientID, err)
			}
		}
	}
	for origin, want := range map[string]string{"https://app.example.com": "https://app.example.com", "https://agent.example.com": "https://agent.example.com", "https://other.example.com": ""} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, s.Public+"/oauth2/token", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", http.MethodPost)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if got := answer.Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: %q", origin, got)
		}
	}
}

// The metrics distinguish the configured clients. No other name makes a series.
func TestMetricsOfTwoClients(t *testing.T) {
	t.Parallel()
	file := writeFile(t, `[{"client_id":"agent"}]`, t.TempDir(), "clients.json")
	s := start(t, t.TempDir(), configure(t, testdb.URL(t)).With(env{"LATCHKEY_CLIENTS_FILE": file}))
	pair := s.CreateSession(testKey, `{"client_id":"agent"}`)
	if code, answer := s.Send(http.MethodPost, s.Internal+"/v1/sessions", testKey, `{"client_id":"stranger"}`); code != http.StatusBadRequest || !strings.Contains(answer, "one of latchkey, agent") {
		t.Errorf("a session of an unknown client: %d %s", code, answer)
	}
	if code, answer := refreshAs(t, s, pair, "stranger"); code != http.StatusBadRequest || !strings.Contains(answer, `"invalid_client"`) {
		t.Errorf("a refresh of an unknown client: %d %s", code, answer)
	}
	if code, answer := refreshAs(t, s, pair, "agent"); code != http.StatusOK {
		t.Fatalf("%d %s", code, answer)
	}
	if code, answer := s.Send(http.MethodDelete, s.Internal+"/v1/sessions/"+pair.Session.ID, testKey, ""); code != http.StatusNoContent {
		t.Fatalf("%d %s", code, answer)
	}

	_, text := s.Send(http.MethodGet, s.Internal+"/metrics", "", nil)
	for _, series := range []string{
		`latchkey_sessions_created_total{client="agent"} 1`, `latchkey_sessions_created_total{client="latchkey"} 0`,
		`latchkey_refreshes_total{client="agent",outcome="rotated"} 1`, `latchkey_refreshes_total{client="latchkey",outcome="rotated"} 0`,
		`latchkey_sessions_revoked_total{cause="asked",client="agent"} 1`,
	} {
		if !strings.Contains(text, series+"\n") {
			t.Errorf("/metrics has no %s", series)
		}
	}
	names := map[string]bool{}
	for _, label := range regexp.MustCompile(`client="([^"]*)"`).FindAllStringSubmatch(text, -1) {
		names[label[1]] = true
	}
	if diff := cmp.Diff(map[string]bool{"": true, "agent": true, "latchkey": true}, names); diff != "" {
		t.Error(diff)
	}
}

func refreshAs(t *testing.T, s *service, pair testservice.Pair, clientID string) (code int, answer string) {
	t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {pair.RefreshToken}, "client_id": {clientID}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Public+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestClientsFileThatIsWrong(t *testing.T) {
	t.Parallel()
	settings := configure(t, "postgres://127.0.0.1:1/none")
	for content, want := range map[string]string{
		`{}`:                                        `at the whole text, which is of another type; it must be a JSON array`,
		`[`:                                         `where it is not JSON; it must be a JSON array`,
		`[{}]`:                                      `at /0/client_id, which is missing; it must be a name`,
		`[{"client_id":" x"}]`:                      `at /0/client_id, which is " x"; it must be text`,
		`[{"client_id":"latchkey"}]`:                `at /0/client_id, which is "latchkey" again; it must be an id`,
		`[{"client_id":"a"},{"client_id":"a"}]`:     `at /1/client_id, which is "a" again`,
		`[{"client_id":"a","client_id":"b"}]`:       `at /0/client_id, which is a duplicate`,
		`[{"client_id":"a","audience":"x"}]`:        `at /0/audience, which no client has`,
		`[{"client_id":"a","audiences":null}]`:      `at /0/audiences, which is null`,
		`[{"client_id":"a","audiences":[]}]`:        `at /0/audiences, which is empty`,
		`[{"client_id":"a","audiences":["x","x"]}]`: `at /0/audiences/1, which is "x"`,
		`[{"client_id":"a","origins":["https://a.example/"]}]`: `at /0/origins/0, which is "https://a.example/"; it must be an exact origin`,
		`[{"client_id":"a","access_token_ttl":"0"}]`:           `at /0/access_token_ttl, which is "0"; it must be a duration`,
		`[{"client_id":"a","access_token_ttl":300}]`:           `at /0/access_token_ttl, which is of another type`,
		`[{"client_id":"a","dpop_required":"yes"}]`:            `at /0/dpop_required, which is of another type`,
	} {
		file := writeFile(t, content, t.TempDir(), "clients.json")
		r := api(t, settings.With(env{"LATCHKEY_CLIENTS_FILE": file}), "serve")
		if r.code == 0 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "LATCHKEY_CLIENTS_FILE has a mistake") || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit code %d: %s", content, r.code, r.stderr)
		}
	}
	r := api(t, settings.With(env{"LATCHKEY_CLIENTS_FILE": "nowhere"}), "serve")
	if r.code == 0 || !strings.Contains(r.stderr, "LATCHKEY_CLIENTS_FILE cannot be read: open nowhere") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}
