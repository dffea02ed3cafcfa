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
	dir, address := testservice.Place(t), testservice.FreeAddress(t)
	site := fill(t, gatewayBlocks(t, "caddyfile")[0], map[string]string{
		":80 {": "http://" + address + " {", "127.0.0.1:8080": host(s.Public), "127.0.0.1:3000": host(app.url),
	})
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte("{\n\tadmin off\n}\n"+site), 0o600); err != nil {
		t.Fatal(err)
	}
	need(t, "caddy")
	startGateway(t, address, "env", "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir, "caddy", "run", "--config", file, "--adapter", "caddyfile")
	holdGateway(t, s, app, "http://"+address, gatewayTraits{outage: http.StatusBadGateway})
}
