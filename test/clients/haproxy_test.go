package clients_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// HAProxy protects an app by the script and the configuration in docs/gateways.md.
func TestHAProxy(t *testing.T) {
	t.Parallel()
	s := start(t, testservice.Env{"LATCHKEY_CORS_ORIGINS": pageOrigin})
	app := newApp(t)
	gate := startHAProxy(t, s, app, nil)
	holdHTTP2(t, s, app, gate)
	holdGateway(t, s, app, gate, gatewayTraits{outage: http.StatusServiceUnavailable})
}

// The path says what the check requires.
func TestHAProxyRequires(t *testing.T) {
	t.Parallel()
	s := start(t, testservice.Env{"LATCHKEY_CORS_ORIGINS": pageOrigin})
	app := newApp(t)
	holdRequirements(t, s, app, func(requirement string) string {
		return startHAProxy(t, s, app, map[string]string{"/v1/check": requirement})
	})
}

// startHAProxy starts HAProxy with the document's configuration and script, the latter changed as the caller says, and returns
// its base URL.
func startHAProxy(t *testing.T, s *service, app *application, change map[string]string) string {
	t.Helper()
	dir, address := testservice.Place(t), testservice.FreeAddress(t)
	script := filepath.Join(dir, "latchkey.lua")
	if err := os.WriteFile(script, []byte(fill(t, fill(t, gatewayBlocks(t, "lua")[0], map[string]string{
		"127.0.0.1:8080": host(s.Public),
	}), change)), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(fill(t, gatewayBlocks(t, "haproxy")[0], map[string]string{
		"/etc/haproxy/latchkey.lua": script, "bind :80": "bind " + address, "127.0.0.1:3000": host(app.url),
	})), 0o600); err != nil {
		t.Fatal(err)
	}
	startGateway(t, address, programOfRoot(t, "haproxy"), "-db", "-f", file)
	return "http://" + address
}
