package httpapi_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// device is a client with a key.
type device struct{ testkeys.Device }

func newDevice(t *testing.T) device {
	t.Helper()
	return device{testkeys.NewDevice(t)}
}

func (d device) atTokenEndpoint(t *testing.T) option {
	t.Helper()
	return header("DPoP", d.Proof(t, "POST", testIssuer+"/oauth2/token", "", ""))
}

// with presents an access token with a proof for a public route.
func (d device) with(t *testing.T, accessToken, method, path string) option {
	t.Helper()
	proof := d.Proof(t, method, testIssuer+path, accessToken, "")
	return func(r *http.Request) {
		r.Header.Set("Authorization", "DPoP "+accessToken)
		r.Header.Add("DPoP", proof)
	}
}

func (s *service) refreshWith(t *testing.T, token string, options ...option) response {
	t.Helper()
	return s.public(t, "POST", "/oauth2/token", append([]option{form("grant_type", "refresh_token", "refresh_token", token)}, options...)...)
}

// createBound makes a session that is bound from the start.
func (s *service) createBound(t *testing.T, d device) session {
	t.Helper()
	m := s.internal(t, "POST", "/v1/sessions", jsonBody(`{"subject":"ann","data":{},"dpop_jkt":"`+d.Thumbprint(t)+`"}`)).want(t, 201).json(t)
	if m["token_type"] != "DPoP" {
		t.Fatalf("token_type %v", m["token_type"])
	}
	return sessionOf(m)
}

// The hole that bearer tokens leave, and that a bound session does not have: a
// thief who presents a copied token within the grace.
func TestThiefWithinTheGrace(t *testing.T) {
	t.Parallel()
	s := setup(t)

	bearer := s.create(t, "ann")
	s.refresh(t, bearer.refresh).want(t, 200)
	s.refresh(t, bearer.refresh).want(t, 200) // the thief has the owner's new pair

	owner, thief := newDevice(t), newDevice(t)
	first := s.createBound(t, owner)
	second := sessionOf(s.refreshWith(t, first.refresh, owner.atTokenEndpoint(t)).want(t, 200).json(t))
	for _, token := range []string{first.refresh, second.refresh} {
		s.refreshWith(t, token).wantProblem(t, 400, "invalid_grant")
		if reason := s.log.last(t)["reason"]; reason != "not_proven" {
			t.Errorf("the log's reason is %v", reason)
		}
		s.refreshWith(t, token, thief.atTokenEndpoint(t)).wantProblem(t, 400, "invalid_grant")
	}
	// The owner continues, and may repeat requests.
	m := s.refreshWith(t, first.refresh, owner.atTokenEndpoint(t)).want(t, 200).json(t)
	if again := sessionOf(m); again.refresh != second.refresh || m["token_type"] != "DPoP" {
		t.Error("the owner's retry gets another pair")
	}
	s.public(t, "GET", "/v1/me/sessions/current", owner.with(t, second.access, "GET", "/v1/me/sessions/current")).want(t, 200)
	// A log-out needs no proof (RFC 7009).
	s.public(t, "POST", "/oauth2/revoke", form("token", second.refresh)).want(t, 200)
	s.refreshWith(t, second.refresh, owner.atTokenEndpoint(t)).wantProblem(t, 400, "invalid_grant")
}

// A session is bound by its first refresh with a proof (RFC 9449 §5).
func TestFirstProofBindsTheSession(t *testing.T) {
	t.Parallel()
	s := setup(t, func(_ *httpapi.Config, cfg *sessionstore.Config) { cfg.Grace = 50 * time.Millisecond })
	d := newDevice(t)
	first := s.create(t, "ann")
	m := s.refreshWith(t, first.refresh, d.atTokenEndpoint(t)).want(t, 200).json(t)
	if m["token_type"] != "DPoP" {
		t.Errorf("token_type %v", m["token_type"])
	}
	time.Sleep(200 * time.Millisecond)
	second := sessionOf(m)
	s.refreshWith(t, second.refresh).wantProblem(t, 400, "invalid_grant")
	s.refreshWith(t, second.refresh, d.atTokenEndpoint(t)).want(t, 200)
}

// RFC 9449 §5: what is wrong with a proof is said, whatever the token; and it
// has no effect on the session, bound or not.
func TestBadProofsAtTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	s := setup(t)
	d := newDevice(t)
	const url = testIssuer + "/oauth2/token"
	for name, token := range map[string]string{"bound": s.createBound(t, d).refresh, "unbound": s.create(t, "ann").refresh} {
		for proof, options := range map[string][]option{
			"garbage": {header("DPoP", "x")}, "empty": {header("DPoP", "")}, "two": {d.atTokenEndpoint(t), d.atTokenEndpoint(t)},
			"another method": {header("DPoP", d.Proof(t, "GET", url, "", ""))}, "another URL": {header("DPoP", d.Proof(t, "POST", "https://example.com/oauth2/token", "", ""))},
		} {
			answer := s.refreshWith(t, token, options...)
			answer.wantProblem(t, 400, "invalid_dpop_proof")
			if c := answer.Header.Get("WWW-Authenticate"); c != "" {
				t.Errorf("%s, %s: WWW-Authenticate %q", name, proof, c)
			}
		}
		// The Host header is not trusted.
		s.refreshWith(t, token, header("DPoP", d.Proof(t, "POST", "https://example.com/oauth2/token", "", "")),
			func(r *http.Request) { r.Host = "example.com" }).wantProblem(t, 400, "invalid_dpop_proof")
		s.refreshWith(t, token, d.atTokenEndpoint(t)).want(t, 200)
	}
	s.refreshWith(t, "not-a-token", d.atTokenEndpoint(t)).wantProblem(t, 400, "invalid_grant")
}

// RFC 9449 §11.1, at the token endpoint, a resource, and through introspection.
func TestReplayedProof(t *testing.T) {
	t.Parallel()
	s := setup(t)
	d := newDevice(t)
	first := s.createBound(t, d)
	proof := d.atTokenEndpoint(t)
	var answers [8]response
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = s.refreshWith(t, first.refresh, proof) })
	}
	all.Wait()
	accepted := 0
	var pair session
	for _, answer := range answers {
		if answer.StatusCode == 200 {
			accepted++
			pair = sessionOf(answer.json(t))
		} else {
			answer.wantProblem(t, 400, "invalid_dpop_proof")
		}
	}
	if accepted != 1 {
		t.Fatalf("%d were accepted", accepted)
	}
	const path = "/v1/me/sessions/current"
	again := d.with(t, pair.access, "GET", path)
	s.public(t, "GET", path, again).want(t, 200)
	s.public(t, "GET", path, again).wantProblem(t, 401, "invalid_dpop_proof")

	fields := form("token", pair.access, "dpop", d.Proof(t, "GET", "https://shop.example.com/cart", pair.access, ""), "dpop_htm", "GET", "dpop_htu", "https://shop.example.com/cart?a=b")
	if m := s.internal(t, "POST", "/oauth2/introspect", fields).want(t, 200).json(t); m["active"] != true {
		t.Fatalf("%v", m)
	}
	if m := s.internal(t, "POST", "/oauth2/introspect", fields).want(t, 200).json(t); m["active"] != false {
		t.Errorf("again: %v", m)
	}
}

// RFC 9449 §7.1, §7.2, on all routes of a user's own sessions.
func TestBoundAccessToken(t *testing.T) {
	t.Parallel()
	s := setup(t)
	d, other := newDevice(t), newDevice(t)
	bound, unbound := s.createBound(t, d), s.create(t, "ann")
	const algs = `algs="EdDSA Ed25519 ES256 RS256 PS256"`
	for _, route := range []string{
		"GET /v1/me/sessions/current", "GET /v1/me/sessions", "DELETE /v1/me/sessions/" + unbound.id, "DELETE /v1/me/sessions", "DELETE /v1/me/sessions/current",
	} {
		method, path, _ := strings.Cut(route, " ")
		url := testIssuer + path
		scheme := func(token string, proofs ...string) option {
			return func(r *http.Request) {
				r.Header.Set("Authorization", "DPoP "+token)
				r.Header["Dpop"] = proofs
			}
		}
		for name, c := range map[string]struct {
			o       option
			code    string
			problem string
		}{
			"as bearer":             {bearer(bound.access), "invalid_token", "invalid_token"},
			"no proof":              {scheme(bound.access), "invalid_dpop_proof", "invalid_dpop_proof"},
			"two proofs":            {scheme(bound.access, d.Proof(t, method, url, bound.access, ""), d.Proof(t, method, url, bound.access, "")), "invalid_dpop_proof", "invalid_dpop_proof"},
			"another key's":         {other.with(t, bound.access, method, path), "invalid_token", "invalid_token"},
			"without ath":           {scheme(bound.access, d.Proof(t, method, url, "", "")), "invalid_dpop_proof", "invalid_dpop_proof"},
			"another token's":       {scheme(bound.access, d.Proof(t, method, url, unbound.access, "")), "invalid_dpop_proof", "invalid_dpop_proof"},
			"another method's":      {scheme(bound.access, d.Proof(t, "POST", url, bound.access, "")), "invalid_dpop_proof", "invalid_dpop_proof"},
			"another path's":        {scheme(bound.access, d.Proof(t, method, url+"x", bound.access, "")), "invalid_dpop_proof", "invalid_dpop_proof"},
			"a bearer token's":      {d.with(t, unbound.access, method, path), "invalid_token", "invalid_token"},
			"not a token, as bound": {d.with(t, "x", method, path), "", "invalid_token"},
		} {
			answer := s.public(t, method, path, c.o)
			answer.wantProblem(t, 401, c.problem)
			want := `DPoP realm="latchkey", error="` + c.code + `", ` + algs
			if c.code == "" { // it is not known what it should have been
				want = `Bearer realm="latchkey", error="invalid_token"`
			}
			if got := answer.Header.Get("WWW-Authenticate"); got != want {
				t.Errorf("%s, %s: WWW-Authenticate %q", route, name, got)
			}
		}
		if diff := cmp.Diff([]string{`Bearer realm="latchkey"`, `DPoP realm="latchkey", ` + algs}, s.public(t, method, path).Header.Values("WWW-Authenticate")); diff != "" {
			t.Errorf("%s without a token: %s", route, diff)
		}
	}
	s.public(t, "GET", "/v1/me/sessions?limit=5", d.with(t, bound.access, "GET", "/v1/me/sessions")).want(t, 200)
	s.public(t, "DELETE", "/v1/me/sessions/current", d.with(t, bound.access, "DELETE", "/v1/me/sessions/current")).want(t, 204)
}

// A session without a subject lists itself with the one proof of the request.
func TestBoundSessionWithoutASubject(t *testing.T) {
	t.Parallel()
	s := setup(t)
	d := newDevice(t)
	m := s.internal(t, "POST", "/v1/sessions", jsonBody(`{"data":{},"dpop_jkt":"`+d.Thumbprint(t)+`"}`)).want(t, 201).json(t)
	s.public(t, "GET", "/v1/me/sessions", d.with(t, sessionOf(m).access, "GET", "/v1/me/sessions")).want(t, 200)
}

// RFC 9449 §6.2, and the proof handed on.
func TestIntrospectBoundToken(t *testing.T) {
	t.Parallel()
	s := setup(t)
	d, other := newDevice(t), newDevice(t)
	bound, unbound := s.createBound(t, d), s.create(t, "ann")
	const url = "https://shop.example.com/cart"
	introspect := func(pairs ...string) response {
		return s.internal(t, "POST", "/oauth2/introspect", form(pairs...))
	}
	m := introspect("token", bound.access).want(t, 200).json(t)
	if diff := cmp.Diff(map[string]any{"jkt": d.Thumbprint(t)}, m["cnf"]); diff != "" || m["token_type"] != "DPoP" || m["active"] != true {
		t.Errorf("%v", m)
	}
	for name, c := range map[string]struct {
		token, proof, method, url string
		active                    bool
	}{
		"good":            {bound.access, d.Proof(t, "GET", url, bound.access, ""), "GET", url + "?a=b", true},
		"with a nonce":    {bound.access, d.Proof(t, "GET", url, bound.access, "the resource server's"), "GET", url, true},
		"another key":     {bound.access, other.Proof(t, "GET", url, bound.access, ""), "GET", url, false},
		"another method":  {bound.access, d.Proof(t, "GET", url, bound.access, ""), "POST", url, false},
		"another URL":     {bound.access, d.Proof(t, "GET", url, bound.access, ""), "GET", url + "s", false},
		"another token":   {bound.access, d.Proof(t, "GET", url, unbound.access, ""), "GET", url, false},
		"no ath":          {bound.access, d.Proof(t, "GET", url, "", ""), "GET", url, false},
		"garbage":         {bound.access, "x", "GET", url, false},
		"a bearer token":  {unbound.access, d.Proof(t, "GET", url, unbound.access, ""), "GET", url, false},
		"a refresh token": {bound.refresh, d.Proof(t, "GET", url, bound.refresh, ""), "GET", url, false},
	} {
		m := introspect("token", c.token, "dpop", c.proof, "dpop_htm", c.method, "dpop_htu", c.url).want(t, 200).json(t)
		if m["active"] != c.active || !c.active && len(m) != 1 {
			t.Errorf("%s: %v", name, m)
		}
	}
	introspect("token", bound.access, "dpop", "x").wantProblem(t, 400, "invalid_request")
	introspect("token", bound.access, "dpop_htm", "GET", "dpop_htu", url).wantProblem(t, 400, "invalid_request")
}

// RFC 9449 §8 and §9: the first answer has the nonce, and every later one the next.
func TestProofNonces(t *testing.T) {
	t.Parallel()
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.DPoPNonce = true })
	d := newDevice(t)
	first := s.createBound(t, d)
	answer := s.refreshWith(t, first.refresh, d.atTokenEndpoint(t))
	answer.wantProblem(t, 400, "use_dpop_nonce")
	nonce := answer.Header.Get("DPoP-Nonce")
	if nonce == "" {
		t.Fatal("no nonce")
	}
	answer = s.refreshWith(t, first.refresh, header("DPoP", d.Proof(t, "POST", testIssuer+"/oauth2/token", "", nonce))).want(t, 200)
	if answer.Header.Get("DPoP-Nonce") == "" {
		t.Error("the answer has no nonce")
	}
	access := sessionOf(answer.json(t)).access
	const path = "/v1/me/sessions/current"
	refused := s.public(t, "GET", path, d.with(t, access, "GET", path))
	refused.wantProblem(t, 401, "use_dpop_nonce")
	if c := refused.Header.Get("WWW-Authenticate"); !strings.HasPrefix(c, `DPoP realm="latchkey", error="use_dpop_nonce", algs=`) {
		t.Errorf("WWW-Authenticate %q", c)
	}
	s.public(t, "GET", path, header("Authorization", "DPoP "+access),
		header("DPoP", d.Proof(t, "GET", testIssuer+path, access, refused.Header.Get("DPoP-Nonce")))).want(t, 200)
	// A client that uses no proofs is never asked for one.
	if answer := s.refresh(t, s.create(t, "ann").refresh).want(t, 200); answer.Header.Get("DPoP-Nonce") != "" {
		t.Error("a bearer client got a nonce")
	}
}

func TestThumbprintOfANewSession(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, bad := range []string{"", "x", strings.Repeat("A", 44)} {
		m := s.internal(t, "POST", "/v1/sessions", jsonBody(`{"data":{},"dpop_jkt":"`+bad+`"}`)).wantProblem(t, 400, "invalid_member")
		if m["pointer"] != "/dpop_jkt" {
			t.Errorf("%q: %v", bad, m)
		}
	}
}

// A client whose clock is wrong is asked for a nonce, once, and succeeds with it. No
// other client is asked.
func TestProofsOfWrongClocks(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, off := range []time.Duration{0, 50 * time.Second, -50 * time.Second, 2 * time.Minute, -2 * time.Minute, 24 * time.Hour, -24 * time.Hour} {
		d := newDevice(t)
		d.ClockOff = off
		session := s.createBound(t, d)
		proof := func(nonce string) option {
			return header("DPoP", d.Proof(t, "POST", testIssuer+"/oauth2/token", "", nonce))
		}
		answer := s.refreshWith(t, session.refresh, proof(""))
		if off.Abs() > time.Minute {
			text := at[string](t, answer.wantProblem(t, 400, "use_dpop_nonce"), "error_description")
			if !strings.Contains(text, "its time differs from ours") || !strings.Contains(text, "; it is "+strconv.Itoa(time.Now().UTC().Year())) || s.log.last(t)["reason"] != "clock" {
				t.Errorf("%v off: it does not say that it is the clock: %q", off, text)
			}
			answer = s.refreshWith(t, session.refresh, proof(answer.Header.Get("DPoP-Nonce")))
		}
		pair := sessionOf(answer.want(t, 200).json(t))
		if off == 0 && answer.Header.Get("DPoP-Nonce") != "" {
			t.Error("a client whose clock is right got a nonce")
		}
		answer = s.public(t, "GET", "/v1/me/sessions/current", d.with(t, pair.access, "GET", "/v1/me/sessions/current"))
		if off.Abs() > time.Minute {
			answer.wantProblem(t, 401, "use_dpop_nonce")
			if answer.Header.Get("DPoP-Nonce") == "" {
				t.Errorf("%v off: no nonce", off)
			}
			continue
		}
		answer.want(t, 200)
	}
}

// A copied token that is presented without its key says nothing about its owner, who
// may still repeat a refresh whose answer was lost.
func TestACopyConfirmsNothing(t *testing.T) {
	t.Parallel()
	owner, thief := newDevice(t), newDevice(t)
	for name, present := range map[string]func(s *service, token string) response{
		"as a bearer token": func(s *service, token string) response {
			return s.public(t, "GET", "/v1/me/sessions/current", bearer(token))
		},
		"with another key": func(s *service, token string) response {
			return s.public(t, "GET", "/v1/me/sessions/current", thief.with(t, token, "GET", "/v1/me/sessions/current"))
		},
		"introspected": func(s *service, token string) response {
			return s.internal(t, "POST", "/oauth2/introspect", form("token", token))
		},
		"introspected with another key": func(s *service, token string) response {
			proof := thief.Proof(t, "GET", "https://api.example.com/cart", token, "")
			return s.internal(t, "POST", "/oauth2/introspect", form("token", token, "dpop", proof, "dpop_htm", "GET", "dpop_htu", "https://api.example.com/cart"))
		},
	} {
		s := setup(t, func(_ *httpapi.Config, cfg *sessionstore.Config) { cfg.Grace = 1 }) // ns: it ends immediately
		first := s.createBound(t, owner)
		lost := sessionOf(s.refreshWith(t, first.refresh, owner.atTokenEndpoint(t)).want(t, 200).json(t))
		if answer := present(s, lost.access); answer.StatusCode != 401 && answer.StatusCode != 200 {
			t.Errorf("%s: %d", name, answer.StatusCode)
		}
		s.refreshWith(t, first.refresh, owner.atTokenEndpoint(t)).want(t, 200)
		if outcome := s.log.last(t)["outcome"]; outcome != "retried_late" {
			t.Errorf("%s: the owner's retry is %v", name, outcome)
		}
	}
}

// A server that refreshed on its client's behalf may use the new token at once without
// the client having it.
func TestUnconfirmedIntrospection(t *testing.T) {
	t.Parallel()
	for confirm, outcome := range map[string]string{"false": "retried_late", "true": "", "": ""} {
		s := setup(t, func(_ *httpapi.Config, cfg *sessionstore.Config) { cfg.Grace = 1 })
		first := s.create(t, "ann")
		lost := sessionOf(s.refresh(t, first.refresh).want(t, 200).json(t)) // the page load was given up
		fields := []string{"token", lost.access}
		if confirm != "" {
			fields = append(fields, "confirm", confirm)
		}
		if active := s.internal(t, "POST", "/oauth2/introspect", form(fields...)).want(t, 200).json(t)["active"]; active != true {
			t.Errorf("confirm=%s: active is %v", confirm, active)
		}
		answer := s.refresh(t, first.refresh)
		if outcome == "" {
			answer.wantProblem(t, 400, "invalid_grant")
			continue
		}
		answer.want(t, 200)
		if got := s.log.last(t)["outcome"]; got != outcome {
			t.Errorf("confirm=%s: the client's retry is %v", confirm, got)
		}
	}
	s := setup(t)
	if m := s.internal(t, "POST", "/oauth2/introspect", form("token", "x", "confirm", "no")).want(t, 400).json(t); m["error"] != "invalid_request" {
		t.Errorf("%v", m)
	}
}

// With the proof it is the owner's own use: a later use of the predecessor is not the
// owner's.
func TestAProvenUseConfirms(t *testing.T) {
	t.Parallel()
	owner := newDevice(t)
	for name, present := range map[string]func(s *service, token string) response{
		"at the public listener": func(s *service, token string) response {
			return s.public(t, "GET", "/v1/me/sessions/current", owner.with(t, token, "GET", "/v1/me/sessions/current"))
		},
		"handed on": func(s *service, token string) response {
			proof := owner.Proof(t, "GET", "https://api.example.com/cart", token, "")
			return s.internal(t, "POST", "/oauth2/introspect", form("token", token, "dpop", proof, "dpop_htm", "GET", "dpop_htu", "https://api.example.com/cart"))
		},
	} {
		s := setup(t, func(_ *httpapi.Config, cfg *sessionstore.Config) { cfg.Grace = 1 }) // ns: it ends immediately
		first := s.createBound(t, owner)
		second := sessionOf(s.refreshWith(t, first.refresh, owner.atTokenEndpoint(t)).want(t, 200).json(t))
		present(s, second.access).want(t, 200)
		s.refreshWith(t, first.refresh, owner.atTokenEndpoint(t)).wantProblem(t, 400, "invalid_grant")
		if reason := s.log.last(t)["reason"]; reason != "reuse" {
			t.Errorf("%s: the predecessor is refused as %v", name, reason)
		}
	}
}
