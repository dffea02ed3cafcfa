package httpapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const (
	mountPrefix   = "/id/auth"
	mountedIssuer = "https://example.com" + mountPrefix
)

// mountings are the ways in which programs put a handler below mountPrefix.
var mountings = map[string]func(http.Handler) http.Handler{
	"ServeMux": func(h http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle(mountPrefix+"/", http.StripPrefix(mountPrefix, h))
		return mux
	},
	"ServeMux twice": func(h http.Handler) http.Handler {
		outer, inner := http.NewServeMux(), http.NewServeMux()
		inner.Handle("/auth/", http.StripPrefix("/auth", h))
		outer.Handle("/id/", http.StripPrefix("/id", inner))
		return outer
	},
	"Mount": func(h http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Use(middleware.RequestID, middleware.Recoverer)
		// Routes of the program's own, which must not be mistaken for the service's.
		r.Delete("/oauth2/token", http.NotFound)
		r.Head("/livez", http.NotFound)
		r.Mount(mountPrefix, h)
		return r
	},
	"Mount twice": func(h http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Route("/{id}", func(r chi.Router) { r.Mount("/auth", h) })
		return r
	},
	"Handle": func(h http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Use(middleware.GetHead)
		r.Handle(mountPrefix+"/*", http.StripPrefix(mountPrefix, h))
		return r
	},
	"Handle in a Route": func(h http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Route("/id", func(r chi.Router) { r.Handle("/auth/*", http.StripPrefix(mountPrefix, h)) })
		return r
	},
	"StripPrefix before Mount": func(h http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Mount("/auth", h)
		return http.StripPrefix("/id", r)
	},
	"CleanPath": func(h http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Use(middleware.CleanPath)
		r.Mount(mountPrefix, h)
		return r
	},
}

func withMountedIssuer(cfg *httpapi.Config, storeCfg *sessionstore.Config) {
	cfg.Issuer, storeCfg.Tokens.Issuer = mountedIssuer, mountedIssuer
}

// The response to a request, and its log line, depend only on its route, wherever the handler is mounted: the path
// below the prefix decides about nothing else.
func TestMountedAnywhere(t *testing.T) {
	t.Parallel()
	s := setup(t, withMountedIssuer, withOrigins)
	session := s.create(t, "ann")
	const (
		foreign = "/oauth2/introspect" // of the internal listener
		large   = 1 << 20
	)
	requests := []struct {
		method, target string
		options        []option
	}{
		// RFC 6749's form of every kind of failure there.
		{"POST", "/oauth2/token", nil},
		{"POST", "/oauth2/token", []option{jsonBody("{}")}},
		{"POST", "/oauth2/token", []option{form("grant_type", "password")}},
		{"POST", "/oauth2/token", []option{form("grant_type", "refresh_token", "refresh_token", "x")}},
		{"POST", "/oauth2/token", []option{form("grant_type", "refresh_token", "refresh_token", "x", "client_id", "other")}},
		{"POST", "/oauth2/token", []option{form("grant_type", "refresh_token", "refresh_token", session.refresh, "scope", "more")}},
		{"POST", "/oauth2/token", []option{form("grant_type", "refresh_token", "refresh_token", session.refresh, "resource", "https://other.example")}},
		{"POST", "/oauth2/token", []option{form("grant_type", "refresh_token", "refresh_token", session.refresh), header("DPoP", "x")}},
		{"POST", "/oauth2/token", []option{form("token", "x", "token", "y")}},
		{"POST", "/oauth2/token", []option{form("x", strings.Repeat("x", large))}},
		{"POST", "/oauth2/token?access_token=x", []option{form("grant_type", "refresh_token")}},
		{"POST", "/oauth2/token", []option{form("grant_type", "refresh_token"), header("Origin", testOrigin)}},
		{"POST", "/oauth2/revoke", nil},
		{"POST", "/oauth2/revoke", []option{form("token", "x")}},
		{"GET", "/oauth2/token", nil},
		{"PUT", "/oauth2/revoke", nil},
		{"BREW", "/oauth2/token", nil},
		{"OPTIONS", "/oauth2/token", nil},
		{"POST", "/oauth2/authorize", nil},
		{"POST", "/oauth2/%2e", nil},
		{"POST", foreign, nil},
		// Problem documents and challenges of the rest.
		{"GET", "/v1/me/sessions/current", nil},
		{"GET", "/v1/me/sessions/current", []option{bearer("x")}},
		{"GET", "/v1/me/sessions/current", []option{bearer(session.access)}},
		{"HEAD", "/v1/me/sessions/current", []option{bearer(session.access)}},
		{"GET", "/v1/me/sessions/current?access_token=x", nil},
		{"GET", "/v1/me/sessions/current", []option{bearer("x"), header("Authorization", "Bearer y")}},
		{"GET", "/v1/me/sessions?unknown=x", []option{bearer(session.access)}},
		{"DELETE", "/v1/me/sessions/x", []option{bearer(session.access)}},
		{"DELETE", "/v1/me/sessions/a%2Fb", []option{bearer(session.access)}},
		{"PUT", "/v1/me/sessions/x", nil},
		{"POST", "/v1/me/sessions", nil},
		{"GET", "/nowhere", nil},
		{"GET", "/%2f", nil},
		{"OPTIONS", "/v1/me/sessions", []option{header("Origin", testOrigin), header("Access-Control-Request-Method", "DELETE")}},
		{"PUT", "/v1/check", []option{bearer(session.access)}},
		{"PROPFIND", "/v1/check/path/id/auth/x", []option{bearer(session.access)}},
		{"GET", "/v1/check/require/scope=admin/x%2fy", []option{bearer(session.access)}},
		{"GET", "/v1/check/require/scop=admin", []option{bearer(session.access)}},
		// Documents.
		{"GET", "/", nil},
		{"HEAD", "/", nil},
		{"GET", "/livez", nil},
		{"HEAD", "/livez", nil},
		{"GET", "/openapi.yaml", nil},
		{"GET", "/.well-known/jwks.json", nil},
		{"HEAD", "/.well-known/jwks.json", nil},
		{"GET", "/.well-known/oauth-authorization-server", nil},
		{"GET", "/.well-known/openid-configuration", nil},
		{"GET", "/.well-known/oauth-authorization-server" + mountPrefix, nil},
		{"POST", "/.well-known/jwks.json", nil},
	}
	type outcome struct {
		Status int
		Header http.Header
		Body   string
		Route  any
	}
	ask := func(handler http.Handler, method, target string, options []option) outcome {
		t.Helper()
		answer := s.send(t, handler, newRequest(t, method, target, append([]option{header("X-Request-Id", "one")}, options...)...))
		return outcome{answer.StatusCode, answer.Header, string(answer.body), s.log.last(t)["route"]}
	}
	for name, mount := range mountings {
		mounted := mount(s.server.Public())
		for _, q := range requests {
			if !strings.HasPrefix(name, "ServeMux") && (q.method == "BREW" || q.method == "PROPFIND") {
				continue // chi itself answers a method that it does not know, and passes nothing on
			}
			want := ask(s.server.Public(), q.method, q.target, q.options)
			got := ask(mounted, q.method, mountPrefix+q.target, q.options)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s %s (-at the root +mounted):\n%s", name, q.method, q.target, diff)
			}
			if isOAuth := strings.HasPrefix(q.target, "/oauth2/"); isOAuth && got.Status >= 400 && !strings.HasPrefix(got.Body, `{"error":"`) {
				t.Errorf("%s: %s %s: %s", name, q.method, q.target, got.Body)
			}
		}
	}
}

// Failures that are not the request's fault, and the internal listener, likewise.
func TestMountedOutage(t *testing.T) {
	t.Parallel()
	s := setup(t, withMountedIssuer)
	session := s.create(t, "ann")
	s.pool.Close()
	for name, mount := range mountings {
		public, internal := mount(s.server.Public()), mount(s.server.Internal())
		answers := map[string]response{
			"unavailable": s.send(t, public, newRequest(t, "POST", mountPrefix+"/oauth2/token",
				form("grant_type", "refresh_token", "refresh_token", session.refresh))).want(t, 503),
			"unavailable introspection": s.send(t, internal, newRequest(t, "POST", mountPrefix+"/oauth2/introspect",
				form("token", session.access), bearer(serviceKey))).want(t, 503),
			"no key":    s.send(t, internal, newRequest(t, "POST", mountPrefix+"/oauth2/introspect", form("token", "x"))).want(t, 401),
			"wrong key": s.send(t, internal, newRequest(t, "POST", mountPrefix+"/oauth2/introspect", form("token", "x"), bearer("x"))).want(t, 401),
		}
		for which, answer := range answers {
			if ct := answer.Header.Get("Content-Type"); ct != "application/json" || answer.json(t)["error"] == nil {
				t.Errorf("%s: %s: %s %s", name, which, ct, answer.body)
			}
		}
		if challenges := answers["no key"].Header.Values("WWW-Authenticate"); len(challenges) != 2 || !strings.HasPrefix(challenges[1], "Basic") {
			t.Errorf("%s: %q", name, challenges)
		}
		s.send(t, internal, newRequest(t, "GET", mountPrefix+"/readyz")).wantProblem(t, 503, "unavailable")
	}
}

// A proof is for the URL that the client called, which is the issuer and the path below it.
func TestMountedProofs(t *testing.T) {
	t.Parallel()
	s := setup(t, withMountedIssuer)
	d := newDevice(t)
	session := s.createBound(t, d)
	for name, mount := range mountings {
		mounted := mount(s.server.Public())
		proof := header("DPoP", d.Proof(t, "POST", mountedIssuer+"/oauth2/token", "", ""))
		answer := s.send(t, mounted, newRequest(t, "POST", mountPrefix+"/oauth2/token", form("grant_type", "refresh_token", "refresh_token", session.refresh), proof))
		if answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", name, answer.StatusCode, answer.body)
		}
	}
}

// Each URL of the metadata leads to its endpoint, and the metadata is found from the issuer, below the
// prefix and where RFC 8414 §3.1 has it.
func TestMountedMetadata(t *testing.T) {
	t.Parallel()
	s := setup(t, withMountedIssuer)
	for name, mount := range mountings {
		const standard = "/.well-known/oauth-authorization-server" + mountPrefix
		program := http.NewServeMux()
		program.Handle("/", mount(s.server.Public()))
		program.Handle(standard, s.server.Public())
		for _, found := range []string{standard, mountPrefix + "/.well-known/openid-configuration", mountPrefix + "/.well-known/oauth-authorization-server"} {
			document := s.send(t, program, newRequest(t, "GET", found)).want(t, 200).json(t)
			for member, want := range map[string]int{"jwks_uri": 200, "token_endpoint": 405, "revocation_endpoint": 405} {
				u, err := url.Parse(at[string](t, document, member))
				if err != nil || !strings.HasPrefix(u.String(), mountedIssuer+"/") {
					t.Fatalf("%s: %v, %v", member, u, err)
				}
				if got := s.send(t, program, newRequest(t, "GET", u.Path)); got.StatusCode != want {
					t.Errorf("%s: %s: GET %s: %d", name, found, u, got.StatusCode)
				}
			}
		}
	}
}

// The probe of a load balancer counts for no limit, wherever it is.
func TestMountedLiveness(t *testing.T) {
	t.Parallel()
	s := setup(t, withMountedIssuer, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.RateLimit = 1 })
	for name, mount := range mountings {
		for range 3 {
			if got := s.send(t, mount(s.server.Public()), newRequest(t, "GET", mountPrefix+"/livez")); got.StatusCode != http.StatusOK {
				t.Errorf("%s: %d", name, got.StatusCode)
			}
		}
	}
}
