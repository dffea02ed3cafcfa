package clients_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// nginx protects a page by the configuration in docs/gateways.md.
func TestNginx(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	app := newApp(t)
	gate := startNginx(t, s, app, nil)

	ada := s.signInPair("ada")
	wantPage(t, gate, ada.AccessToken, http.StatusOK)
	if got := app.authorization.Load(); got != "Bearer "+ada.AccessToken {
		t.Errorf("the app was sent Authorization %q, want the client's", got)
	}
	for what, token := range map[string]string{"no token": "", "a refresh token": ada.RefreshToken, "nonsense": "nonsense"} {
		status, header := getPage(t, gate, token)
		challenge := header.Get("WWW-Authenticate")
		if status != http.StatusUnauthorized || !strings.HasPrefix(challenge, "Bearer") {
			t.Errorf("%s: %d, WWW-Authenticate %q", what, status, challenge)
		}
	}

	grace := s.signInPair("grace")
	wantPage(t, gate, grace.AccessToken, http.StatusOK)
	s.revoke(grace.AccessToken)
	wantPage(t, gate, grace.AccessToken, http.StatusUnauthorized)
	wantPage(t, gate, ada.AccessToken, http.StatusOK)

	// What the app itself answers is not touched.
	app.status.Store(http.StatusInternalServerError)
	wantPage(t, gate, ada.AccessToken, http.StatusInternalServerError)
	app.status.Store(http.StatusOK)

	asked := app.requests.Load()
	s.Stop()
	status, header := getPage(t, gate, ada.AccessToken)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || header.Get("WWW-Authenticate") != "" {
		t.Errorf("without the service: %d with %v, want 503 with Retry-After", status, header)
	}
	if app.requests.Load() != asked {
		t.Error("the app was asked without the service")
	}
}

// With a cache, a revocation counts once what is kept has expired; nobody gets another one's answer.
func TestNginxCache(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	blocks := documentBlocks(t, "gateways.md", "nginx")
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

	const requests = 50
	for range requests {
		wantPage(t, gate, ada.AccessToken, http.StatusOK)
	}
	if asked := strings.Count(s.Stderr.String(), `"route":"/v1/me/sessions/current","status":200`); asked > requests/2 {
		t.Errorf("the service was asked %d times: nothing was kept", asked)
	}

	s.revoke(grace.AccessToken)
	revoked := time.Now()
	testservice.Await(t, "the end of what is kept", func() bool {
		status, _ := getPage(t, gate, grace.AccessToken)
		return status == http.StatusUnauthorized
	})
	if took := time.Since(revoked); took > 5*time.Second {
		t.Errorf("a revoked session went on for %v", took)
	}
	wantPage(t, gate, ada.AccessToken, http.StatusOK)
}

// application is what is protected.
type application struct {
	url           string
	status        atomic.Int32 // what it answers
	requests      atomic.Int32 // how many it got
	authorization atomic.Value // of the last one
}

func newApp(t *testing.T) *application {
	t.Helper()
	app := &application{}
	app.status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		app.requests.Add(1)
		app.authorization.Store(r.Header.Get("Authorization"))
		w.WriteHeader(int(app.status.Load()))
	}))
	t.Cleanup(server.Close)
	app.url = server.URL
	return app
}

// startNginx starts nginx with the document's configuration, changed as the caller says, and returns its base URL.
func startNginx(t *testing.T, s *service, app *application, change func(dir, server string) string) string {
	t.Helper()
	dir, address := testservice.Place(t), testservice.FreeAddress(t)
	server := documentBlocks(t, "gateways.md", "nginx")[0]
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
	// What Debian's nginx.conf has around it, in a folder of the test's.
	config := fmt.Sprintf("pid %[1]s/pid;\nerror_log stderr;\ndaemon off;\nworker_processes 1;\nevents {}\nhttp {\naccess_log off;\n", dir)
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		config += fmt.Sprintf("%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config+server+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), nginx(t), "-p", dir, "-e", "stderr", "-c", file)
	var out testservice.Output
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its output says more
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		<-ended
		if t.Failed() {
			t.Logf("nginx printed:\n%s", &out)
		}
	})
	testservice.Await(t, "nginx", func() bool {
		select {
		case <-ended:
			t.Fatalf("nginx ended:\n%s", &out)
		default:
		}
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		return err == nil && conn.Close() == nil
	})
	return "http://" + address
}

// nginx finds the program also where only root's PATH leads.
func nginx(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("nginx is not installed")
	return ""
}

func getPage(t *testing.T, gate, token string) (status int, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, gate+"/page", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close() // only the head matters
	return response.StatusCode, response.Header
}

func wantPage(t *testing.T, gate, token string, want int) {
	t.Helper()
	if got, _ := getPage(t, gate, token); got != want {
		t.Errorf("the page is answered with %d, want %d", got, want)
	}
}
