package httpapi_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// basic sends user and password unchanged; RFC 6749 §2.3.1 requires them encoded.
func basic(user, password string) option {
	return header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

// RFC 6749 §2.3.1, §3.2.1, §5.2: a public client may name itself in either way,
// but it has no secret, and another client is not known. RFC 7009 §2.1 says the
// same of revocation.
func TestClientsNameThemselves(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, endpoint := range []struct {
		path   string
		fields func() []string
	}{
		{"/oauth2/token", func() []string {
			return []string{"grant_type", "refresh_token", "refresh_token", s.create(t, "ann").refresh}
		}},
		{"/oauth2/revoke", func() []string { return []string{"token", s.create(t, "ann").refresh} }},
	} {
		for name, test := range map[string]struct {
			fields  []string
			options []option
			status  int
			code    string
		}{
			"nothing":            {nil, nil, 200, ""},
			"client_id":          {[]string{"client_id", "latchkey"}, nil, 200, ""},
			"empty client_id":    {[]string{"client_id", "", "client_secret", ""}, nil, 200, ""}, // §3.2: as if omitted
			"Basic":              {nil, []option{basic("latchkey", "")}, 200, ""},
			"Basic, encoded":     {nil, []option{basic("%6Catchkey", "")}, 200, ""},
			"both":               {[]string{"client_id", "latchkey"}, []option{basic("latchkey", "")}, 200, ""},
			"a bearer token":     {nil, []option{bearer("of-an-interceptor")}, 200, ""},
			"another client_id":  {[]string{"client_id", "spa"}, nil, 400, "invalid_client"},
			"a secret":           {[]string{"client_id", "latchkey", "client_secret", "x"}, nil, 400, "invalid_client"},
			"an assertion":       {[]string{"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", "x"}, nil, 400, "invalid_client"},
			"another user":       {nil, []option{basic("spa", "")}, 401, "invalid_client"},
			"a password":         {nil, []option{basic("latchkey", "x")}, 401, "invalid_client"},
			"malformed Basic":    {nil, []option{header("Authorization", "Basic %")}, 401, "invalid_client"},
			"Basic without user": {nil, []option{basic("", "")}, 401, "invalid_client"},
			"two clients":        {[]string{"client_id", "spa"}, []option{basic("latchkey", "")}, 400, "invalid_request"},
			"two headers":        {nil, []option{basic("latchkey", ""), basic("latchkey", "")}, 400, "invalid_request"},
			"client_id twice":    {[]string{"client_id", "latchkey", "client_id", "latchkey"}, nil, 400, "invalid_request"},
			"secret twice":       {[]string{"client_secret", "", "client_secret", ""}, nil, 400, "invalid_request"},
		} {
			answer := s.public(t, "POST", endpoint.path, append(test.options, form(append(endpoint.fields(), test.fields...)...))...)
			if test.status == 200 {
				answer.want(t, 200)
				continue
			}
			answer.wantProblem(t, test.status, test.code)
			challenge := ""
			if test.status == 401 {
				challenge = `Basic realm="latchkey"`
			}
			if got := answer.Header.Get("WWW-Authenticate"); got != challenge {
				t.Errorf("%s with %s: WWW-Authenticate %q", endpoint.path, name, got)
			}
		}
	}
}

// A program that embeds the server need not know its client's name.
func TestAnyClientWithoutAClientID(t *testing.T) {
	t.Parallel()
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.ClientID = "" })
	token := s.create(t, "ann").refresh
	s.public(t, "POST", "/oauth2/token", form("grant_type", "refresh_token", "refresh_token", token, "client_id", "spa")).want(t, 200)
	s.public(t, "POST", "/oauth2/token", basic("spa", ""), form("grant_type", "refresh_token", "refresh_token", token)).want(t, 200)
	s.public(t, "POST", "/oauth2/token", basic("spa", "x"), form("grant_type", "refresh_token", "refresh_token", token)).wantProblem(t, 401, "invalid_client")
}

// RFC 6749 §6: a refresh cannot ask for more than was granted, which here is no scope.
func TestScopeCannotWiden(t *testing.T) {
	t.Parallel()
	s := setup(t)
	token := s.create(t, "ann").refresh
	refresh := func(scope ...string) response {
		fields := []string{"grant_type", "refresh_token", "refresh_token", token}
		for _, text := range scope {
			fields = append(fields, "scope", text)
		}
		return s.public(t, "POST", "/oauth2/token", form(fields...))
	}
	for _, scope := range []string{"admin", "openid profile", " ", "\x00", `"`} {
		refresh(scope).wantProblem(t, 400, "invalid_scope")
	}
	refresh("", "").wantProblem(t, 400, "invalid_request")
	if m := s.internal(t, "GET", "/v1/sessions/"+sessionOf(refresh("").want(t, 200).json(t)).id); m.StatusCode == 200 && m.json(t)["scope"] != nil {
		t.Error("a scope was granted")
	}
}

// A session's scope is returned with its tokens (RFC 6749 §5.1), whatever part of it is requested. Asking for more
// changes nothing.
func TestScope(t *testing.T) {
	t.Parallel()
	s := setup(t)
	m := s.internal(t, "POST", "/v1/sessions", jsonBody(`{"claims":{"role":"editor","scope":"orders:read orders:write"}}`)).want(t, 201).json(t)
	session := sessionOf(m)
	if m["scope"] != "orders:read orders:write" {
		t.Errorf("created with the scope %v", m["scope"])
	}
	refresh := func(scope string) response {
		return s.public(t, "POST", "/oauth2/token", form("grant_type", "refresh_token", "refresh_token", session.refresh, "scope", scope))
	}
	for _, scope := range []string{"orders:read admin", "Orders:read", "orders:read  orders:write"} {
		refresh(scope).wantProblem(t, 400, "invalid_scope")
	}
	// The predecessor may be sent again within the grace.
	for _, scope := range []string{"orders:write orders:read", "orders:read", "openid offline_access", ""} {
		if got := refresh(scope).want(t, 200).json(t)["scope"]; got != "orders:read orders:write" {
			t.Errorf("asked for %q, told %v", scope, got)
		}
	}
}

// Claims are in the session, in its access token, and in the token's introspection.
func TestClaims(t *testing.T) {
	t.Parallel()
	s := setup(t)
	want := any(map[string]any{"role": "editor", "active": false, "scope": "orders:read"})
	m := s.internal(t, "POST", "/v1/sessions", jsonBody(`{"subject":"ann","claims":{"role":"editor","active":false,"scope":"orders:read"}}`)).want(t, 201).json(t)
	session := sessionOf(m)
	created, _ := m["session"].(map[string]any)
	introspected := s.internal(t, "POST", "/oauth2/introspect", form("token", session.access)).want(t, 200).json(t)
	if introspected["active"] != true || introspected["scope"] != "orders:read" {
		t.Errorf("introspected: %v", introspected)
	}
	loaded := s.internal(t, "GET", "/v1/sessions/"+session.id).want(t, 200).json(t)
	for where, got := range map[string]any{"creation": created["claims"], "session": loaded["claims"], "introspection": introspected["claims"]} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", where, diff)
		}
	}
}

// RFC 7009 §2.1, §2.2: both kinds of token can be revoked, so
// unsupported_token_type is never due, and a hint, right, wrong or of a kind that
// there is not, changes nothing.
func TestTokenTypeHintIsOnlyAHint(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, hint := range []string{"access_token", "refresh_token", "id_token", "", "\xff"} {
		for _, kind := range []string{"access", "refresh"} {
			session := s.create(t, "ann")
			token := map[string]string{"access": session.access, "refresh": session.refresh}[kind]
			s.public(t, "POST", "/oauth2/revoke", form("token", token, "token_type_hint", hint)).want(t, 200)
			if s.accepted(t, session.access) {
				t.Errorf("%s with the hint %q is still accepted", kind, hint)
			}
		}
	}
	s.public(t, "POST", "/oauth2/revoke", form("token", "x", "token_type_hint", "a", "token_type_hint", "b")).wantProblem(t, 400, "invalid_request")
}

// RFC 7009 §2.3: scripts of the configured origins may revoke.
func TestRevocationFromABrowser(t *testing.T) {
	t.Parallel()
	s := setup(t, withOrigins)
	preflight := s.public(t, "OPTIONS", "/oauth2/revoke", header("Origin", testOrigin),
		header("Access-Control-Request-Method", "POST"), header("Access-Control-Request-Headers", "authorization,content-type")).want(t, 200)
	answer := s.public(t, "POST", "/oauth2/revoke", header("Origin", testOrigin), form("token", s.create(t, "ann").refresh)).want(t, 200)
	if allowed(preflight) != testOrigin || allowed(answer) != testOrigin {
		t.Errorf("preflight %v, answer %v", preflight.Header, answer.Header)
	}
}

// RFC 7662 §2.1, §2.3: resource servers authenticate with HTTP Basic, the name
// and secret of a service key.
func TestIntrospectWithBasic(t *testing.T) {
	t.Parallel()
	const odd = "odd+secret%20with/signs:in-it-for-basic-0001"
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) {
		cfg.ServiceKeys = append(cfg.ServiceKeys, httpapi.ServiceKey{Name: "a gateway", Secret: odd})
	})
	s.secrets = append(s.secrets, odd)
	token := s.create(t, "ann").access
	introspect := func(o option) response {
		return s.do(t, s.server.Internal(), "POST", "/oauth2/introspect", o, form("token", token))
	}
	for name, credentials := range map[string]option{
		"plain":   basic("backend", serviceKey),
		"encoded": basic(url.QueryEscape("a gateway"), url.QueryEscape(odd)), // RFC 6749 §2.3.1
		"raw":     basic("a gateway", odd),                                   // what many send
	} {
		if m := introspect(credentials).want(t, 200).json(t); m["active"] != true {
			t.Errorf("%s: %v", name, m)
		}
	}
	if got := s.log.last(t)["service_key"]; got != "a gateway" && got != "backend" {
		t.Errorf("the log says %v", got)
	}
	for name, credentials := range map[string]option{
		"another's name":  basic("backend", odd),
		"wrong secret":    basic("backend", serviceKey+"x"),
		"no secret":       basic("backend", ""),
		"no colon":        header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(serviceKey))),
		"an access token": basic("backend", token),
	} {
		answer := introspect(credentials)
		answer.wantProblem(t, 401, "invalid_client")
		if diff := cmp.Diff([]string{`Basic realm="latchkey"`}, answer.Header.Values("WWW-Authenticate")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	// Elsewhere a service key is a bearer token and nothing else.
	s.do(t, s.server.Internal(), "GET", "/v1/sessions?subject=ann", basic("backend", serviceKey)).wantProblem(t, 401, "invalid_service_key")
}

// RFC 8414 §3, §3.1, §3.3, §5: the issuer is the one that was asked for, and its path
// comes after the well-known name, or before that of OpenID Connect.
func TestMetadata(t *testing.T) {
	t.Parallel()
	const well, openID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	for issuer, paths := range map[string][]string{
		testIssuer:                         {well, openID},
		"https://auth.example.com/tenant":  {well, well + "/tenant", openID, openID + "/tenant", "/tenant" + openID},
		"https://auth.example.com/a/b%20c": {well, well + "/a/b%20c", "/a/b%20c" + openID},
	} {
		s := setup(t, func(cfg *httpapi.Config, storeCfg *sessionstore.Config) {
			cfg.Issuer, storeCfg.Tokens.Issuer = issuer, issuer
		})
		for _, path := range paths {
			answer := s.fetch(t, path)
			m := answer.want(t, 200).json(t)
			for member, want := range map[string]any{
				"issuer":                                     issuer,
				"token_endpoint":                             issuer + "/oauth2/token",
				"revocation_endpoint":                        issuer + "/oauth2/revoke",
				"jwks_uri":                                   issuer + "/.well-known/jwks.json",
				"grant_types_supported":                      []any{"refresh_token"},
				"response_types_supported":                   []any{},
				"token_endpoint_auth_methods_supported":      []any{"none"},
				"revocation_endpoint_auth_methods_supported": []any{"none"},
			} {
				if diff := cmp.Diff(want, m[member]); diff != "" {
					t.Errorf("%s at %s: %s: %s", issuer, path, member, diff)
				}
			}
			if m["introspection_endpoint"] != nil || m["authorization_endpoint"] != nil {
				t.Errorf("%s tells of an endpoint that is not public: %v", issuer, m)
			}
			if got := answer.Header.Get("Content-Type"); got != "application/json" { // §3.2
				t.Errorf("Content-Type %q", got)
			}
		}
		s.fetch(t, well+"/other").want(t, 404)
	}
}

// fetch is a request that openapi.yaml cannot describe: its path is the issuer's.
func (s *service) fetch(t *testing.T, path string) response {
	t.Helper()
	return s.send(t, s.server.Public(), newRequest(t, http.MethodGet, path))
}

// RFC 9111 §4.3, RFC 9110 §13.1.2 and §15.4.5: the keys and the metadata may be
// kept for a while, and are revalidated by their ETag.
func TestKeysAreCacheable(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server"} {
		first := s.public(t, "GET", path).want(t, 200)
		etag := first.Header.Get("ETag")
		for name, conditions := range map[string][]option{
			"the same": {header("If-None-Match", etag)}, "weak": {header("If-None-Match", "W/"+etag)}, "any": {header("If-None-Match", "*")},
			"in a list": {header("If-None-Match", `"x", `+etag)}, "in a second header": {header("If-None-Match", `"x"`), header("If-None-Match", etag)},
		} {
			answer := s.public(t, "GET", path, conditions...).want(t, 304)
			if len(answer.body) > 0 || answer.Header.Get("ETag") != etag || answer.Header.Get("Cache-Control") != first.Header.Get("Cache-Control") ||
				answer.Header.Get("Cache-Control") != "public, max-age=300" {
				t.Errorf("%s, %s: %q %v", path, name, answer.body, answer.Header)
			}
		}
		for _, other := range []string{`"x"`, `x`, `""`, etag[:len(etag)-1], "W/"} {
			s.public(t, "GET", path, header("If-None-Match", other)).want(t, 200)
		}
	}
}

// RFC 9701 §4, §5: a caller that requests it gets the answer as a JWT, signed for
// that caller. It does not pass for a token (§8.1, RFC 8725 §3.11).
func TestSignedIntrospection(t *testing.T) {
	t.Parallel()
	const signed = "application/token-introspection+jwt"
	s := setup(t)
	live := s.create(t, "ann")
	introspect := func(token, accept string) response {
		return s.internal(t, "POST", "/oauth2/introspect", form("token", token), header("Accept", accept)).want(t, 200)
	}
	for _, token := range []string{live.access, live.refresh, "x"} {
		plain := introspect(token, "application/json").json(t)
		answer := introspect(token, "application/json;q=0.5, "+signed)
		if answer.Header.Get("Content-Type") != signed || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v", answer.Header)
		}
		parts := strings.Split(string(answer.body), ".")
		if len(parts) != 3 {
			t.Fatalf("%q is not a JWT", answer.body)
		}
		var head, claims map[string]any
		for i, into := range []*map[string]any{&head, &claims} {
			text, err := base64.RawURLEncoding.DecodeString(parts[i])
			if err := errors.Join(err, json.Unmarshal(text, into)); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(map[string]any{"alg": "EdDSA", "kid": "rfc8037", "typ": "token-introspection+jwt"}, head); diff != "" {
			t.Error(diff)
		}
		if age := time.Since(time.Unix(int64(at[float64](t, claims, "iat")), 0)); age < 0 || age > time.Minute {
			t.Errorf("iat is %v old", age)
		}
		want := map[string]any{"iss": testIssuer, "aud": "backend", "iat": claims["iat"], "token_introspection": plain} // no sub, no exp
		if diff := cmp.Diff(want, claims); diff != "" {
			t.Error(diff)
		}
		if !verifies(t, s, string(answer.body)) {
			t.Error("the published key does not verify it")
		}
		if s.accepted(t, string(answer.body)) {
			t.Error("it passes for an access token")
		}
	}
	for _, accept := range []string{"*/*", "application/*", signed + ";q=0", "token-introspection+jwt", ""} {
		if got := introspect(live.access, accept).Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("%q was answered with %s", accept, got)
		}
	}
}

// verifies looks at the signature with the public key that the service publishes.
func verifies(t *testing.T, s *service, jwt string) bool {
	t.Helper()
	keys := at[[]any](t, s.public(t, "GET", "/.well-known/jwks.json").want(t, 200).json(t), "keys")
	first, _ := keys[0].(map[string]any)
	public, err := base64.RawURLEncoding.DecodeString(at[string](t, first, "x"))
	if err != nil {
		t.Fatal(err)
	}
	end := strings.LastIndexByte(jwt, '.')
	signature, err := base64.RawURLEncoding.DecodeString(jwt[end+1:])
	if err != nil {
		t.Fatal(err)
	}
	return ed25519.Verify(public, []byte(jwt[:end]), signature)
}
