package clients_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// Apache, with mod_auth_openidc or mod_oauth2, protects an app by the configuration in docs/gateways.md.
func TestApache(t *testing.T) {
	t.Parallel()
	t.Run("mod_auth_openidc", func(t *testing.T) {
		t.Parallel()
		holdApache(t, "auth_openidc", gatewayTraits{passesOptions: true, outage: http.StatusUnauthorized})
	})
	t.Run("mod_oauth2", func(t *testing.T) {
		t.Parallel()
		holdApache(t, "oauth2", gatewayTraits{outage: http.StatusUnauthorized})
	})
}

// Apache's requirements for a token are in its own configuration. A valid token without it is refused with 403, and a
// page on another origin can read that; what the app itself answers with 403 is not touched.
func TestApacheRequires(t *testing.T) {
	t.Parallel()
	clients := filepath.Join(t.TempDir(), "clients.json")
	if err := os.WriteFile(clients, []byte(`[
		{"client_id":"shop","audiences":["https://other.example","https://orders.example.com"]},
		{"client_id":"prefix","audiences":["https://orders.example.com.example","https://orders.example"]}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, testservice.Env{"LATCHKEY_SERVICE_KEYS": "clients:" + testservice.Key + ",apache:" + apacheKey, "LATCHKEY_CLIENTS_FILE": clients})
	token := func(client, scope string) string {
		status, body := s.Send(http.MethodPost, s.Internal+"/v1/sessions", testservice.Key, fmt.Sprintf(`{"subject":"ada","data":{},"client_id":%q,"claims":{"scope":%q}}`, client, scope))
		if status != http.StatusCreated {
			t.Fatalf("create a session: %d %s", status, body)
		}
		return testservice.ParsePair(t, body).AccessToken
	}
	for module, directive := range map[string]string{"auth_openidc": "Require claim aud:", "oauth2": "Require oauth2_claim aud:"} {
		app := newApp(t)
		blocks := gatewayBlocks(t, "apache")
		i := slices.IndexFunc(blocks, func(block string) bool { return strings.Contains(block, directive) })
		gate := startApache(t, s, app, module, blocks[i])
		patterns := strings.Contains(blocks[i], "scope~")
		for _, c := range []struct {
			client, scope string
			want          int
		}{
			{"shop", "orders:read", http.StatusOK},
			{"shop", "a orders:read z", http.StatusOK},
			{"prefix", "orders:read", http.StatusForbidden},
			{"shop", "orders:read-all", http.StatusForbidden},
			{"shop", "my-orders:read", http.StatusForbidden},
		} {
			want := c.want
			if c.client == "shop" && !patterns {
				want = http.StatusOK // only the audience is required
			}
			before := app.requests.Load()
			got := ask(t, gate, http.MethodGet, "/page", token(c.client, c.scope), map[string]string{"Origin": pageOrigin})
			allowed := got.Header.Values("Access-Control-Allow-Origin")
			if got.StatusCode != want || !slices.Equal(allowed, []string{pageOrigin}) || (app.requests.Load() > before) != (want == http.StatusOK) {
				t.Errorf("%s, %v: %d, and %v lets a page read it", module, c, got.StatusCode, allowed)
			}
		}
		wantPage(t, gate, "", http.StatusUnauthorized)
		wantPage(t, gate, "nonsense", http.StatusUnauthorized)
		app.status.Store(http.StatusForbidden)
		got := ask(t, gate, http.MethodGet, "/page", token("shop", "orders:read"), map[string]string{"Origin": pageOrigin})
		if allowed := got.Header.Values("Access-Control-Allow-Origin"); got.StatusCode != http.StatusForbidden || !slices.Equal(allowed, []string{pageOrigin}) {
			t.Errorf("%s: the app's own refusal: %d, and %v lets a page read it", module, got.StatusCode, allowed)
		}
	}
}

// apacheSites are how the document's configuration for each module becomes one for a service of the tests.
var apacheSites = map[string]func(t *testing.T, s *service, site string) string{
	"auth_openidc": func(t *testing.T, s *service, site string) string {
		t.Helper()
		return fill(t, site, map[string]string{
			"https://latchkey.internal": overTLS(t, s.Internal), "OIDCOAuthClientID": "OIDCOAuthSSLValidateServer Off\nOIDCOAuthClientID",
		})
	},
	"oauth2": func(t *testing.T, s *service, site string) string {
		t.Helper()
		return fill(t, site, map[string]string{"http://127.0.0.1:8081": s.Internal})
	},
}

// holdApache runs Apache with one of its modules, by the document's configuration for it.
func holdApache(t *testing.T, module string, traits gatewayTraits) {
	t.Helper()
	s := start(t, testservice.Env{"LATCHKEY_SERVICE_KEYS": "clients:" + testservice.Key + ",apache:" + apacheKey})
	app := newApp(t)
	gate := startApache(t, s, app, module, "Require valid-user")
	holdHTTP2(t, s, app, gate)
	holdGateway(t, s, app, gate, traits)
}

// startApache starts Apache with one of its modules and a requirement in place of the document's.
func startApache(t *testing.T, s *service, app *application, module, requirement string) (gate string) {
	t.Helper()
	dir, address := testservice.Place(t), testservice.FreeAddress(t)
	blocks := gatewayBlocks(t, "apache")
	i := slices.IndexFunc(blocks, func(block string) bool { return strings.Contains(block, "AuthType "+authTypes[module]+"\n") })
	site := apacheSites[module](t, s, fill(t, blocks[i], map[string]string{
		"*:80": address, "the-service-key": apacheKey, "127.0.0.1:3000": host(app.url), "Require valid-user": requirement,
	}))
	var server strings.Builder
	fmt.Fprintf(&server, "ServerRoot %[1]s\nServerName localhost\nDefaultRuntimeDir %[1]s\nPidFile %[1]s/pid\nErrorLog /dev/stderr\nListen %[2]s\nProtocols h2c http/1.1\n", dir, address)
	for _, module := range []string{"mpm_event", "authn_core", "authz_core", "authz_user", module, "env", "headers", "macro", "http2", "proxy", "proxy_http", "proxy_wstunnel"} {
		fmt.Fprintf(&server, "LoadModule %s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", module)
	}
	file := filepath.Join(dir, "apache2.conf")
	if err := os.WriteFile(file, []byte(server.String()+blocks[0]+site), 0o600); err != nil {
		t.Fatal(err)
	}
	startGateway(t, address, programOfRoot(t, "apache2"), "-X", "-f", file)
	return "http://" + address
}

// authTypes are how the modules are asked for in a configuration.
var authTypes = map[string]string{"auth_openidc": "oauth20", "oauth2": "oauth2"}

// overTLS puts a proxy with TLS before a listener, and returns its base URL.
func overTLS(t *testing.T, listener string) string {
	t.Helper()
	target, err := url.Parse(listener)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, ErrorLog: log.New(io.Discard, "", 0)}
	server := httptest.NewTLSServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

// apacheKey is Apache's own service key.
const apacheKey = "a-service-key-that-only-apache-has-0001"
