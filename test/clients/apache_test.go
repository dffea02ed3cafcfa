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
		holdApache(t, "auth_openidc", gatewayTraits{passesOptions: true, outage: http.StatusUnauthorized}, func(s *service, site string) string {
			return fill(t, site, map[string]string{
				"https://latchkey.internal": overTLS(t, s.Internal), "OIDCOAuthClientID": "OIDCOAuthSSLValidateServer Off\nOIDCOAuthClientID",
			})
		})
	})
	t.Run("mod_oauth2", func(t *testing.T) {
		t.Parallel()
		holdApache(t, "oauth2", gatewayTraits{outage: http.StatusUnauthorized}, func(s *service, site string) string {
			return fill(t, site, map[string]string{"http://127.0.0.1:8081": s.Internal})
		})
	})
}

// holdApache runs Apache with one of its modules, by the document's configuration for it.
func holdApache(t *testing.T, module string, traits gatewayTraits, adapt func(s *service, site string) string) {
	t.Helper()
	s := start(t, testservice.Env{"LATCHKEY_SERVICE_KEYS": "clients:" + testservice.Key + ",apache:" + apacheKey})
	app := newApp(t)
	dir, address := testservice.Place(t), testservice.FreeAddress(t)
	blocks := gatewayBlocks(t, "apache")
	i := slices.IndexFunc(blocks, func(block string) bool { return strings.Contains(block, "AuthType "+authTypes[module]+"\n") })
	site := adapt(s, fill(t, blocks[i], map[string]string{"*:80": address, "the-service-key": apacheKey, "127.0.0.1:3000": host(app.url)}))
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
	holdHTTP2(t, s, app, "http://"+address)
	holdGateway(t, s, app, "http://"+address, traits)
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
