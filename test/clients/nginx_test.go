package clients_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// nginx protects an app by the configuration in docs/gateways.md.
func TestNginx(t *testing.T) {
	t.Parallel()
	s := start(t, testservice.Env{"LATCHKEY_CORS_ORIGINS": pageOrigin})
	app := newApp(t)
	http2 := testservice.FreeAddress(t) // nginx 1.22 has one version of HTTP to a listener, where it is without TLS
	gate := startNginx(t, s, app, func(_, server string) string {
		return fill(t, server, map[string]string{"    location / {\n": "    listen " + http2 + " http2;\n    location / {\n"})
	})
	holdHTTP2(t, s, app, "http://"+http2)
	holdGateway(t, s, app, gate, gatewayTraits{outage: http.StatusServiceUnavailable})
	// By now the service is away.
	if got := ask(t, gate, http.MethodGet, "/page", "x", nil); got.Header.Get("Retry-After") == "" {
		t.Errorf("%d with %v", got.StatusCode, got.Header)
	}
}

// The path says what the check requires.
func TestNginxRequires(t *testing.T) {
	t.Parallel()
	s := start(t, testservice.Env{"LATCHKEY_CORS_ORIGINS": pageOrigin})
	app := newApp(t)
	holdRequirements(t, s, app, func(requirement string) string {
		return startNginx(t, s, app, func(_, server string) string {
			return fill(t, server, map[string]string{"/v1/check;": requirement + ";"})
		})
	})
}

// With a cache, a revocation takes effect once the cached answer has expired; no client gets
// another's answer.
func TestNginxCache(t *testing.T) {
	t.Parallel()
	s := start(t, testservice.Env{"LATCHKEY_CORS_ORIGINS": pageOrigin})
	blocks := gatewayBlocks(t, "nginx")
	zone, lines := blocks[1], blocks[2]
	gate := startNginx(t, s, newApp(t), func(dir, server string) string {
		zone = strings.Replace(zone, "/run/nginx-sessions", filepath.Join(dir, "sessions"), 1)
		return zone + strings.Replace(server, "internal;\n", "internal;\n"+lines, 1)
	})

	ada, grace := s.signInPair("ada"), s.signInPair("grace")
	wantPage(t, gate, ada.AccessToken, http.StatusOK)
	wantPage(t, gate, "", http.StatusUnauthorized)
	wantPage(t, gate, "nonsense", http.StatusUnauthorized)
	wantPage(t, gate, grace.AccessToken, http.StatusOK)

	// A preflight is let through; that admits no other request.
	preflight := map[string]string{"Origin": pageOrigin, "Access-Control-Request-Method": "GET"}
	if got := ask(t, gate, http.MethodOptions, "/page", "", preflight); got.StatusCode != http.StatusNoContent {
		t.Errorf("a preflight is answered with %d", got.StatusCode)
	}
	if got := ask(t, gate, http.MethodGet, "/page", "", preflight); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("a request without a token is answered with %d after a preflight", got.StatusCode)
	}

	const requests = 50
	for range requests {
		wantPage(t, gate, ada.AccessToken, http.StatusOK)
	}
	if asked := strings.Count(s.Stderr.String(), `"route":"/v1/check","status":200`); asked > requests/2 {
		t.Errorf("the service was asked %d times: nothing was kept", asked)
	}

	s.revoke(grace.AccessToken)
	revoked := time.Now()
	testservice.Await(t, "the end of what is kept", func() bool {
		asked := time.Now()
		refused := ask(t, gate, http.MethodGet, "/page", grace.AccessToken, nil).StatusCode == http.StatusUnauthorized
		if later := asked.Sub(revoked); !refused && later > 5*time.Second {
			t.Fatalf("a revoked session goes on after %v", later)
		}
		return refused
	})
	wantPage(t, gate, ada.AccessToken, http.StatusOK)
}

// startNginx starts nginx with the document's configuration, changed as the caller says, and returns its base URL.
func startNginx(t *testing.T, s *service, app *application, change func(dir, server string) string) string {
	t.Helper()
	dir, address := testservice.Place(t), testservice.FreeAddress(t)
	server := gatewayBlocks(t, "nginx")[0]
	for from, to := range map[string]string{
		"server 127.0.0.1:8080;": "server " + strings.TrimPrefix(s.Public, "http://") + ";",
		"server 127.0.0.1:3000;": "server " + strings.TrimPrefix(app.url, "http://") + ";",
		"listen 80;":             "listen " + address + ";",
	} {
		if !strings.Contains(server, from) {
			t.Fatalf("the document's configuration has no %q", from)
		}
		server = strings.Replace(server, from, to, 1)
	}
	if change != nil {
		server = change(dir, server)
	}
	// The surroundings from Debian's nginx.conf, in a folder of the test.
	config := fmt.Sprintf("pid %[1]s/pid;\nerror_log stderr;\ndaemon off;\nworker_processes 1;\nevents {}\nhttp {\naccess_log off;\n", dir)
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		config += fmt.Sprintf("%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config+server+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	startGateway(t, address, programOfRoot(t, "nginx"), "-p", dir, "-e", "stderr", "-c", file)
	return "http://" + address
}
