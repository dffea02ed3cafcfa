package httpapi_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func withSessionLimit(perMinute int) func(*httpapi.Config, *sessionstore.Config) {
	return func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.SessionRateLimit = perMinute }
}

// rates are an answer's RateLimit headers.
func (r response) rates() []string {
	return append(r.Header.Values("RateLimit-Policy"), r.Header.Values("RateLimit")...)
}

func (r response) wantRates(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, r.rates()); diff != "" {
		t.Errorf("%s %s (-want +got):\n%s", r.Request.Method, r.Request.URL.Path, diff)
	}
}

// One session is bounded by itself, whatever it asks for and from wherever; another
// one behind the same address is not.
func TestSessionRateLimit(t *testing.T) {
	t.Parallel()
	s := setup(t, withSessionLimit(4))
	wild, other := s.create(t, "ann"), s.create(t, "ann")

	const policy = `"session";q=4;w=60`
	first := s.refresh(t, wild.refresh).want(t, 200)
	first.wantRates(t, policy, `"session";r=3;t=15`)
	pair := sessionOf(first.json(t))
	s.public(t, "GET", "/v1/me/sessions/current", bearer(pair.access), from("203.0.113.1:1")).want(t, 200).wantRates(t, policy, `"session";r=2;t=15`)
	s.public(t, "GET", "/v1/me/sessions", bearer(pair.access), from("203.0.113.2:1")).want(t, 200).wantRates(t, policy, `"session";r=1;t=15`)
	s.public(t, "DELETE", "/v1/me/sessions?keep=current", bearer(pair.access), from("203.0.113.3:1")).want(t, 200).wantRates(t, policy, `"session";r=0;t=15`)

	for name, answer := range map[string]response{
		"refresh": s.refresh(t, pair.refresh),
		"revoke":  s.public(t, "POST", "/oauth2/revoke", form("token", pair.refresh)),
		"strict":  s.public(t, "GET", "/v1/me/sessions/current", bearer(pair.access), from("203.0.113.4:1")),
		"list":    s.public(t, "GET", "/v1/me/sessions", bearer(pair.access)),
		"log out": s.public(t, "DELETE", "/v1/me/sessions/current", bearer(pair.access)),
	} {
		answer.want(t, 429).wantRates(t, policy, `"session";r=0;t=15`)
		if got := answer.Header.Get("Retry-After"); got != "15" {
			t.Errorf("%s: Retry-After %q", name, got)
		}
		m := answer.json(t)
		if m["code"] != "rate_limited" && m["error"] != "temporarily_unavailable" {
			t.Errorf("%s: %v", name, m)
		}
	}
	if s.log.last(t)["reason"] != "session" {
		t.Errorf("the log does not say which limit it was: %v", s.log.last(t))
	}

	// It is still signed in, and the other one is not limited.
	if got, err := s.store.RefreshTokens(t.Context(), pair.refresh, sessionstore.Client{}); err != nil || got.Outcome != sessionstore.StillFresh {
		t.Errorf("%v, %v", got.Outcome, err)
	}
	fresh := s.create(t, "ann")
	s.refresh(t, fresh.refresh).want(t, 200).wantRates(t, policy, `"session";r=3;t=15`)
	s.refresh(t, other.refresh).want(t, 400) // ended above, with everything but the current one
	s.internal(t, "POST", "/oauth2/introspect", form("token", pair.access)).want(t, 200).wantRates(t)
}

// A request that is too many does not reach the database.
func TestRateLimitsSpareTheDatabase(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*httpapi.Config, *sessionstore.Config){
		"session": withSessionLimit(1),
		"address": func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.RateLimit = 1 },
	} {
		s := setup(t, change)
		session := s.create(t, "ann")
		pair := sessionOf(s.refresh(t, session.refresh).want(t, 200).json(t))
		s.pool.Close() // every request gets 503
		for path, answer := range map[string]response{
			"refresh": s.refresh(t, pair.refresh),
			"revoke":  s.public(t, "POST", "/oauth2/revoke", form("token", pair.access)),
			"current": s.public(t, "GET", "/v1/me/sessions/current", bearer(pair.access)),
			"list":    s.public(t, "GET", "/v1/me/sessions", bearer(pair.access)),
		} {
			if answer.StatusCode != http.StatusTooManyRequests {
				t.Errorf("%s, %s: %d %s", name, path, answer.StatusCode, answer.body)
			}
		}
	}
}

// Only holders of its tokens can use up a session's requests: not with a token that names it and
// does not verify, nor with a copied one that is bound to a key.
func TestOnlyItsTokensCountForASession(t *testing.T) {
	t.Parallel()
	s := setup(t, withSessionLimit(4))
	session := s.create(t, "ann")
	for _, token := range []string{forge(session.access), forge(session.refresh)} {
		for range 5 {
			s.refresh(t, token).want(t, 400).wantRates(t)
			s.public(t, "POST", "/oauth2/revoke", form("token", token)).want(t, 200).wantRates(t)
			s.public(t, "GET", "/v1/me/sessions/current", bearer(token)).want(t, 401).wantRates(t)
			s.public(t, "GET", "/v1/me/sessions", bearer(token)).want(t, 401).wantRates(t)
		}
	}
	s.refresh(t, session.refresh).want(t, 200).wantRates(t, `"session";q=4;w=60`, `"session";r=3;t=15`)

	owner, thief := newDevice(t), newDevice(t)
	bound := s.createBound(t, owner)
	for range 5 {
		s.refreshWith(t, bound.refresh, thief.atTokenEndpoint(t)).want(t, 400).wantRates(t)
		s.refresh(t, bound.refresh).want(t, 400).wantRates(t)
		s.public(t, "GET", "/v1/me/sessions", thief.with(t, bound.access, "GET", "/v1/me/sessions")).want(t, 401).wantRates(t)
		s.public(t, "GET", "/v1/me/sessions/current", bearer(bound.access)).want(t, 401).wantRates(t)
	}
	s.refreshWith(t, bound.refresh, owner.atTokenEndpoint(t)).want(t, 200).wantRates(t, `"session";q=4;w=60`, `"session";r=3;t=15`)
	s.endGrace(t)
	s.public(t, "GET", "/v1/me/sessions/current", owner.with(t, bound.access, "GET", "/v1/me/sessions/current")).want(t, 401).
		wantRates(t, `"session";q=4;w=60`, `"session";r=2;t=15`) // superseded, and proven
}

// A refresh token that is not bound counts even with a proof, which binds its session: any proof counts for that, and
// none may save a request.
func TestProofSparesNoRequest(t *testing.T) {
	t.Parallel()
	s := setup(t, withSessionLimit(4))
	session := s.create(t, "ann")
	s.refreshWith(t, session.refresh, newDevice(t).atTokenEndpoint(t)).want(t, 200).wantRates(t, `"session";q=4;w=60`, `"session";r=3;t=15`)
}

// forge changes a token's signature.
func forge(token string) string {
	last := "A"
	if token[len(token)-5:len(token)-4] == "A" {
		last = "B"
	}
	return token[:len(token)-5] + last + token[len(token)-4:]
}

// Both limits at once: a list of two in each header.
func TestBothRateLimits(t *testing.T) {
	t.Parallel()
	s := setup(t, withSessionLimit(10), func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.RateLimit = 3 })
	session := s.create(t, "ann")
	answer := s.refresh(t, session.refresh).want(t, 200)
	answer.wantRates(t, `"address";q=3;w=60`, `"session";q=10;w=60`, `"address";r=2;t=20`, `"session";r=9;t=6`)
	s.public(t, "GET", "/nowhere").want(t, 404).wantRates(t, `"address";q=3;w=60`, `"address";r=1;t=20`)
}

// Behind a trusted proxy each client has its own requests; what a client itself
// writes into X-Forwarded-For gives it no more (security 23).
func TestRateLimitBehindAProxy(t *testing.T) {
	t.Parallel()
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) {
		cfg.RateLimit = 3
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
	get := func(forwarded string) response {
		return s.public(t, "GET", "/.well-known/jwks.json", from("10.0.0.1:1"), header("X-Forwarded-For", forwarded))
	}
	for i := range 3 {
		get(fmt.Sprintf("198.51.100.%d, 203.0.113.7", i)).want(t, 200)
	}
	get("198.51.100.9, 203.0.113.7").want(t, 429)
	get("203.0.113.8").want(t, 200)
}
