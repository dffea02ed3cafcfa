package observability_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

const (
	root       = "../.." // of the repository
	serviceKey = "0123456789abcdef0123456789abcdef"
	patience   = 30 * time.Second
)

// program is the built service.
var program string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "latchkey-observability-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		program = filepath.Join(dir, "api")
		err = build(program)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return testdb.Main(m)
}

func build(path string) error {
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", path, "./cmd/api")
	cmd.Dir = root // this module knows less of what the service needs
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the service: %w\n%s", err, output)
	}
	return nil
}

// service is one that runs.
type service struct{ public, internal string }

// start runs the service on a database of its own until the test ends.
func start(t *testing.T) service {
	t.Helper()
	dir := t.TempDir()
	if output, err := exec.CommandContext(t.Context(), program, "keys", "init", "--dir", dir).CombinedOutput(); err != nil {
		t.Fatalf("make keys: %v\n%s", err, output)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, "serve")
	cmd.Env = append(os.Environ(),
		"DATABASE_URL="+testdb.URL(t), "SIGNING_KEYS_FILE="+filepath.Join(dir, "signing-keys.json"), "SERVICE_KEYS=backend:"+serviceKey,
		"AUDIT_LOG="+filepath.Join(dir, "audit.log"),
		"PUBLIC_ADDR=127.0.0.1:0", "INTERNAL_ADDR=127.0.0.1:0", "ISSUER=https://login.example.com", "LOG_FORMAT=json",
	)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ready struct {
		Msg      string `json:"msg"`
		Public   string `json:"public"`
		Internal string `json:"internal"`
	}
	lines := bufio.NewScanner(log)
	for ready.Msg != "ready" && lines.Scan() {
		if err := json.Unmarshal(lines.Bytes(), &ready); err != nil {
			t.Errorf("%v: %s", err, lines.Bytes())
		}
	}
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(io.Discard, log) })
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		reading.Wait()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the service: %v", err)
		}
	})
	if ready.Msg != "ready" {
		t.Fatal("the service did not start")
	}
	return service{"http://" + ready.Public, "http://" + ready.Internal}
}

// send returns an answer's status and body.
func send(t *testing.T, method, target, key, mediaType, body string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

// use takes a session through its life, so that there is something of everything.
func (s service) use(t *testing.T) {
	t.Helper()
	var pair struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	status, body := send(t, "POST", s.internal+"/v1/sessions", serviceKey, "application/json", `{"subject":"ada","data":{}}`)
	if err := json.Unmarshal(body, &pair); err != nil || status != http.StatusCreated {
		t.Fatalf("create: %d: %s", status, body)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {pair.Refresh}}.Encode()
	for _, step := range []struct {
		method, target, key, mediaType, body string
		want                                 int
	}{
		{"GET", s.public + "/v1/me/sessions/current", pair.Access, "", "", http.StatusOK},
		{"GET", s.public + "/v1/me/sessions/current", "nonsense", "", "", http.StatusUnauthorized},
		{"POST", s.public + "/oauth2/token", "", "application/x-www-form-urlencoded", form, http.StatusOK},
		{"POST", s.public + "/oauth2/token", "", "application/x-www-form-urlencoded", form, http.StatusOK},
		{"DELETE", s.internal + "/v1/sessions?subject=ada", serviceKey, "", "", http.StatusOK},
	} {
		if status, body := send(t, step.method, step.target, step.key, step.mediaType, step.body); status != step.want {
			t.Fatalf("%s %s: %d, want %d: %s", step.method, step.target, status, step.want, body)
		}
	}
}

// scrape waits until everything is there that is learnt beside requests.
func (s service) scrape(t *testing.T) []byte {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		status, text := send(t, "GET", s.internal+"/metrics", "", "", "")
		if status != http.StatusOK {
			t.Fatalf("/metrics: %d", status)
		}
		if strings.Contains(string(text), "\nlatchkey_signing_key_since_timestamp_seconds ") {
			return text
		}
		if time.Now().After(deadline) {
			t.Fatalf("it was never learnt what the database knows:\n%s", text)
		}
	}
}
