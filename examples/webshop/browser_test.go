package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

const grace = time.Second / 2

// place runs the shop: it can be restarted, and its answers lost.
type place struct {
	pool    *pgxpool.Pool
	keyFile string
	address string
	lossy   atomic.Bool
	lost    atomic.Int64 // answers with new cookies that the browser got only after the grace

	mu      sync.Mutex
	server  *http.Server
	answers int
	away    time.Time
}

// open starts the shop at the address that it had, as another process would. Its access tokens last
// for two seconds.
func (p *place) open(ctx context.Context) error {
	keys, err := readKeys(p.keyFile)
	if err != nil {
		return err
	}
	cfg := config()
	cfg.Lifetimes.AccessToken, cfg.Grace = 2*time.Second, grace
	shop, err := newShop(p.pool, keys, cfg)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", p.address)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.address = listener.Addr().String()
	p.server = &http.Server{Handler: p.losing(shop.routes()), ReadHeaderTimeout: time.Minute}
	go func(server *http.Server) { _ = server.Serve(listener) }(p.server)
	return nil
}

func (p *place) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.server.Close()
}

// losing loses every twentieth answer to a load of the page. Of the answers with new cookies it loses one, and all that
// follow within its grace, then none until the next: the browser sees the connection end.
func (p *place) losing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.lossy.Load() || r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		if p.loses(answer.Header().Get("Set-Cookie") != "") {
			panic(http.ErrAbortHandler)
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = io.Copy(w, answer.Body)
	})
}

func (p *place) loses(fresh bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers++
	switch {
	case time.Now().Before(p.away):
		return true
	case fresh && p.away.IsZero():
		p.away = time.Now().Add(grace + time.Second/4)
		p.lost.Add(1)
		return true
	case fresh:
		p.away = time.Time{}
		return false
	}
	return p.answers%20 == 0
}

// control does what the browser's script requests.
func (p *place) control(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/restart":
		p.close()
		if err := p.open(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	case "/lossy":
		p.lossy.Store(true)
	case "/lossless":
		p.lossy.Store(false)
	case "/lost":
		_, _ = fmt.Fprint(w, p.lost.Load())
	default:
		w.Header().Set("Content-Type", "text/html") // a page of another site
		_, _ = io.WriteString(w, "<!doctype html>")
	}
}

// The shop in a real browser: log in, reload, two tabs, back, log-out in one tab, a restart,
// navigations that are given up and answers that are lost, another site's form.
func TestInChromium(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_WITHOUT_NPM") != "" {
		t.Skip("make clients runs it")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not installed: TEST_WITHOUT_NPM=1 leaves this out")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Fatal("npm is not installed: TEST_WITHOUT_NPM=1 leaves this out")
	}
	p := &place{pool: testdb.Pool(t), keyFile: filepath.Join(t.TempDir(), "keys.json"), address: "localhost:0"}
	if err := p.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer p.close()
	control := httptest.NewServer(http.HandlerFunc(p.control))
	defer control.Close()
	_, port, err := net.SplitHostPort(p.address)
	if err != nil {
		t.Fatal(err)
	}

	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "browser.test.mjs"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, name, args...)
		command.Dir, command.WaitDelay = dir, time.Second
		command.Env = append(os.Environ(), "CHROMIUM="+chromium, "SHOP=http://localhost:"+port, "CONTROL="+control.URL, "PARENT="+strconv.Itoa(os.Getpid()))
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, output)
		}
	}
	run("npm", "ci", "--no-audit", "--no-fund", "--prefer-offline")
	run("node", "--test", "browser.test.mjs")
}
