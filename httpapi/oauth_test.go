package httpapi_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestRefreshAnswersANewPair(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first := s.create(t, "ann")
	answer := s.refresh(t, first.refresh).want(t, 200)
	m := answer.json(t)
	if m["token_type"] != "Bearer" || m["expires_in"] != 300.0 || m["refresh_expires_in"] != 2_592_000.0 {
		t.Errorf("%v", m)
	}
	second := sessionOf(m)
	if second.refresh == first.refresh || second.access == first.access {
		t.Error("the pair is not new")
	}
	// Requests with the first access token may be under way.
	if !s.accepted(t, first.access) || !s.accepted(t, second.access) {
		t.Error("both access tokens must be accepted")
	}
	s.endGrace(t)
	if s.accepted(t, first.access) || !s.accepted(t, second.access) {
		t.Error("the second access token alone must be accepted")
	}
	// Security 15, RFC 6749 §5.1.
	if cc, p := answer.Header.Get("Cache-Control"), answer.Header.Get("Pragma"); cc != "no-store" || p != "no-cache" {
		t.Errorf("Cache-Control %q, Pragma %q", cc, p)
	}
}

// The client that last refreshed is kept for device lists; the outcome is in the log.
func TestRefreshKeepsWhoItWas(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first := s.create(t, "ann")
	if m := s.internal(t, "GET", "/v1/sessions/"+first.id).json(t); m["last_client"] != nil {
		t.Errorf("before the first refresh: %v", m["last_client"])
	}
	second := sessionOf(s.public(t, "POST", "/oauth2/token", form("grant_type", "refresh_token", "refresh_token", first.refresh),
		header("User-Agent", "App/4.2"), from("203.0.113.9:4711")).want(t, 200).json(t))
	if line := s.log.last(t); line["outcome"] != "rotated" {
		t.Errorf("the log says %v", line)
	}
	want := map[string]any{"user_agent": "App/4.2", "ip": "203.0.113.9"}
	for _, answer := range []response{
		s.internal(t, "GET", "/v1/sessions/"+first.id),
		s.public(t, "GET", "/v1/me/sessions/current", bearer(second.access)),
	} {
		if diff := cmp.Diff(want, answer.want(t, 200).json(t)["last_client"]); diff != "" {
			t.Error(diff)
		}
	}
	s.refresh(t, first.refresh).want(t, 200)
	if line := s.log.last(t); line["outcome"] != "raced" {
		t.Errorf("the log says %v", line)
	}
}

// Security 2 (FAPI 2.0 §5.3.2.1): the same request again gives the same pair.
func TestRefreshMayBeSentAgain(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first := s.create(t, "ann")
	var pairs [20]session
	var requests sync.WaitGroup
	for i := range pairs {
		requests.Go(func() { pairs[i] = sessionOf(s.refresh(t, first.refresh).json(t)) })
	}
	requests.Wait()
	for _, pair := range pairs {
		if pair.refresh == "" || pair != pairs[0] {
			t.Errorf("%+v differs from %+v", pair, pairs[0])
		}
	}
}

// Security 1 and RFC 6749 §5.2: every refused token gets the same answer to
// the byte, whatever the reason; only the log knows it.
func TestRefusedRefreshTokensLookAlike(t *testing.T) {
	t.Parallel()
	s := setup(t, func(_ *httpapi.Config, cfg *sessionstore.Config) {
		cfg.Grace, cfg.Tokens.Leeway = 100*time.Millisecond, time.Nanosecond
	})
	stolen, revoked, live := s.create(t, "ann"), s.create(t, "bob"), s.create(t, "dan")
	idle := sessionOf(s.internal(t, "POST", "/v1/sessions", jsonBody(`{"data":{},"access_token_ttl":1,"refresh_token_ttl":2}`)).want(t, 201).json(t))
	second := sessionOf(s.refresh(t, stolen.refresh).want(t, 200).json(t))
	s.internal(t, "DELETE", "/v1/sessions/"+revoked.id).want(t, 204)
	time.Sleep(300 * time.Millisecond)
	s.refresh(t, second.refresh).want(t, 200) // now the stolen one is two behind

	refusals := map[string]string{
		"reuse":      stolen.refresh,
		"ended":      revoked.refresh,
		"wrong_type": live.access,
		"invalid":    "not-a-token",
		"too_large":  strings.Repeat("x", tokens.MaxTokenBytes+1),
	}
	bodies := map[string]bool{}
	refused := func(reason, token string) {
		answer := s.refresh(t, token)
		answer.wantProblem(t, 400, "invalid_grant")
		bodies[string(answer.body)] = true
		if got := s.log.last(t)["reason"]; got != reason {
			t.Errorf("the log's reason is %v, want %s", got, reason)
		}
	}
	for reason, token := range refusals {
		refused(reason, token)
	}
	time.Sleep(3 * time.Second)
	refused("expired", idle.refresh)
	if len(bodies) != 1 {
		t.Errorf("the answers differ: %v", bodies)
	}
}

// Security 1 (RFC 9700 §4.14.2): replay ends the session, its thief's and its
// owner's tokens alike.
func TestReplayRevokesTheSession(t *testing.T) {
	t.Parallel()
	s := setup(t, func(_ *httpapi.Config, cfg *sessionstore.Config) { cfg.Grace = 50 * time.Millisecond })
	first := s.create(t, "ann")
	second := sessionOf(s.refresh(t, first.refresh).want(t, 200).json(t))
	time.Sleep(150 * time.Millisecond)
	third := sessionOf(s.refresh(t, second.refresh).want(t, 200).json(t))
	s.refresh(t, first.refresh).wantProblem(t, 400, "invalid_grant")
	s.refresh(t, third.refresh).wantProblem(t, 400, "invalid_grant")
	if s.accepted(t, third.access) {
		t.Error("the owner's access token is still accepted")
	}
}

func TestTokenRequests(t *testing.T) {
	t.Parallel()
	s := setup(t)
	token := s.create(t, "ann").refresh
	for name, test := range map[string]struct {
		target string
		body   option
		status int
		code   string
	}{
		"no body":            {"", form(), 400, "invalid_request"},
		"no grant_type":      {"", form("refresh_token", token), 400, "invalid_request"},
		"empty grant_type":   {"", form("grant_type", "", "refresh_token", token), 400, "invalid_request"},
		"another grant":      {"", form("grant_type", "authorization_code", "code", "x"), 400, "unsupported_grant_type"},
		"no token":           {"", form("grant_type", "refresh_token"), 400, "invalid_request"},
		"empty token":        {"", form("grant_type", "refresh_token", "refresh_token", ""), 400, "invalid_request"},
		"token twice":        {"", form("grant_type", "refresh_token", "refresh_token", token, "refresh_token", token), 400, "invalid_request"},
		"grant_type twice":   {"", form("grant_type", "refresh_token", "grant_type", "refresh_token", "refresh_token", token), 400, "invalid_request"},
		"client_id twice":    {"", form("grant_type", "refresh_token", "refresh_token", token, "client_id", "a", "client_id", "a"), 400, "invalid_request"},
		"bad escape":         {"", body("application/x-www-form-urlencoded", "grant_type=%zz"), 400, "invalid_request"},
		"JSON":               {"", jsonBody(`{"grant_type":"refresh_token","refresh_token":"` + token + `"}`), 415, "invalid_request"},
		"no type":            {"", func(*http.Request) {}, 415, "invalid_request"},
		"another charset":    {"", body("application/x-www-form-urlencoded; charset=utf-16", "grant_type=refresh_token"), 415, "invalid_request"},
		"compressed":         {"", func(r *http.Request) { form("a", "b")(r); r.Header.Set("Content-Encoding", "gzip") }, 415, "invalid_request"},
		"too large":          {"", form("grant_type", "refresh_token", "refresh_token", strings.Repeat("x", 20_000)), 413, "invalid_request"},
		"token in the query": {"?refresh_token=" + token, form("grant_type", "refresh_token"), 400, "invalid_request"}, // security 15
		"all in the query":   {"?grant_type=refresh_token&refresh_token=" + token, form(), 400, "invalid_request"},     // security 15
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.public(t, "POST", "/oauth2/token"+test.target, test.body).wantProblem(t, test.status, test.code)
		})
	}
	// RFC 6749 §3.2: unknown parameters are ignored, and a public client names itself.
	t.Run("more fields", func(t *testing.T) {
		t.Parallel()
		s.public(t, "POST", "/oauth2/token", form("grant_type", "refresh_token", "refresh_token", token,
			"client_id", "latchkey", "scope", "", "client_secret", "", "resource", "latchkey", "audience", "a", "audience", "b")).want(t, 200)
	})
}

// Security 16 (RFC 7009 §2.2) and 7 (ASVS 7.4.1): either token ends the
// session, and no token is an error.
func TestRevoke(t *testing.T) {
	t.Parallel()
	s := setup(t)
	revoke := func(o ...string) response { return s.public(t, "POST", "/oauth2/revoke", form(o...)) }
	for _, kind := range []string{"access", "refresh", "refresh with a wrong hint"} {
		session := s.create(t, "ann")
		fields := []string{"token", session.refresh}
		switch kind {
		case "access":
			fields[1] = session.access
		case "refresh with a wrong hint":
			fields = append(fields, "token_type_hint", "access_token")
		}
		for range 2 {
			answer := revoke(fields...).want(t, 200)
			if string(answer.body) != "{}" || answer.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: body %q, header %v", kind, answer.body, answer.Header)
			}
		}
		if s.accepted(t, session.access) {
			t.Errorf("%s: the access token is still accepted", kind)
		}
		s.refresh(t, session.refresh).wantProblem(t, 400, "invalid_grant")
	}
	for _, token := range []string{"unknown", "a.b.c", strings.Repeat("x", tokens.MaxTokenBytes+1)} {
		revoke("token", token).want(t, 200)
	}
	revoke().wantProblem(t, 400, "invalid_request")
	revoke("token", "a", "token", "b").wantProblem(t, 400, "invalid_request")
	s.public(t, "POST", "/oauth2/revoke?token=x", form("token", "x")).wantProblem(t, 400, "invalid_request") // security 15
}

func TestIntrospect(t *testing.T) {
	t.Parallel()
	s := setup(t)
	introspect := func(token string) map[string]any {
		answer := s.internal(t, "POST", "/oauth2/introspect", form("token", token, "token_type_hint", "refresh_token")).want(t, 200)
		if answer.Header.Get("Cache-Control") != "no-store" {
			t.Error("the answer may be kept")
		}
		return answer.json(t)
	}
	named, anonymous, ended := s.create(t, "ann"), s.create(t, ""), s.create(t, "ann")
	s.internal(t, "DELETE", "/v1/sessions/"+ended.id).want(t, 204)

	active := introspect(named.access)
	loaded := s.internal(t, "GET", "/v1/sessions/"+named.id).want(t, 200).json(t)
	if diff := cmp.Diff(loaded, active["session"]); diff != "" {
		t.Errorf("session (-loaded +introspected):\n%s", diff)
	}
	want := map[string]any{
		"active": true, "token_type": "Bearer", "iss": testIssuer, "aud": "latchkey", "client_id": "latchkey",
		"sub": "ann", "sid": named.id, "exp": active["exp"], "iat": active["iat"], "jti": active["jti"], "session": loaded,
	}
	if diff := cmp.Diff(want, active); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if at[float64](t, active, "exp")-at[float64](t, active, "iat") != 300 || !strings.HasSuffix(at[string](t, active, "jti"), ".a0") {
		t.Errorf("%v", active)
	}
	if sub := introspect(anonymous.access)["sub"]; sub != anonymous.id {
		t.Errorf("sub of a session without a subject is %v, want its id", sub)
	}

	// Security 16 (RFC 7662 §2.2): nothing is revealed about an inactive token.
	old := s.create(t, "ann")
	s.refresh(t, old.refresh).want(t, 200)
	if introspect(old.access)["active"] != true {
		t.Error("an access token that was replaced just now is inactive")
	}
	s.endGrace(t)
	for name, token := range map[string]string{
		"ended": ended.access, "superseded": old.access, "refresh token": named.refresh, "garbage": "x", "too large": strings.Repeat("x", tokens.MaxTokenBytes+1),
	} {
		if diff := cmp.Diff(map[string]any{"active": false}, introspect(token)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	s.internal(t, "POST", "/oauth2/introspect", form()).wantProblem(t, 400, "invalid_request")
	// Security 16: a caller needs a key, and an access token is not one.
	s.internal(t, "POST", "/oauth2/introspect", bearer(named.access), form("token", named.access)).wantProblem(t, 401, "invalid_token")
}
