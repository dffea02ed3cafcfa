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
	dir, address := testservice.Place(t), testservice.FreeAddress(t)
	script := filepath.Join(dir, "latchkey.lua")
	if err := os.WriteFile(script, []byte(fill(t, gatewayBlocks(t, "lua")[0], map[string]string{
		"127.0.0.1:8080": host(s.Public),
	})), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(fill(t, gatewayBlocks(t, "haproxy")[0], map[string]string{
		"/etc/haproxy/latchkey.lua": script, "bind :80": "bind " + address, "127.0.0.1:3000": host(app.url),
	})), 0o600); err != nil {
		t.Fatal(err)
	}
	startGateway(t, address, programOfRoot(t, "haproxy"), "-db", "-f", file)
	holdGateway(t, s, app, "http://"+address, gatewayTraits{outage: http.StatusServiceUnavailable})
}
