package clients_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// Caddy protects an app by the configuration in docs/gateways.md.
func TestCaddy(t *testing.T) {
	t.Parallel()
	s := start(t, testservice.Env{"LATCHKEY_CORS_ORIGINS": pageOrigin})
	app := newApp(t)
	gate := startCaddy(t, s, app, nil)
	holdHTTP2(t, s, app, gate)
	holdGateway(t, s, app, gate, gatewayTraits{outage: http.StatusBadGateway})
}

// The path says what the check requires.
func TestCaddyRequires(t *testing.T) {
	t.Parallel()
	s := start(t, testservice.Env{"LATCHKEY_CORS_ORIGINS": pageOrigin})
	app := newApp(t)
	holdRequirements(t, s, app, func(requirement string) string {
		return startCaddy(t, s, app, map[string]string{"/v1/check": requirement})
	})
}

// startCaddy starts Caddy with the document's configuration, changed as the caller says, and returns its base URL.
func startCaddy(t *testing.T, s *service, app *application, change map[string]string) string {
	t.Helper()
	dir, address := testservice.Place(t), testservice.FreeAddress(t)
	site := fill(t, fill(t, gatewayBlocks(t, "caddyfile")[0], map[string]string{
		":80 {": "http://" + address + " {", "127.0.0.1:8080": host(s.Public), "127.0.0.1:3000": host(app.url),
	}), change)
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte("{\n\tadmin off\n\tservers {\n\t\tprotocols h1 h2c\n\t}\n}\n"+site), 0o600); err != nil {
		t.Fatal(err)
	}
	need(t, "caddy")
	startGateway(t, address, "env", "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir, "caddy", "run", "--config", file, "--adapter", "caddyfile")
	return "http://" + address
}
