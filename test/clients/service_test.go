package clients_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// patience covers a first start, with a database to be made, on a slow and busy machine.
	patience = 2 * time.Minute

	serviceKey = "a-service-key-that-only-tests-have-0001"
	audience   = "latchkey"
	sealingKey = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" // the signing keys are in PostgreSQL, so that they can be rotated

	// A pair lives for twice the grace at least, and golang.org/x/oauth2 replaces an access token ten seconds before
	// its end: so it refreshes every five seconds here.
	grace          = 2 * time.Second
	accessTokenTTL = 15 * time.Second
)

// service is a running `api serve` on a PostgreSQL of its own.
type service struct {
	t       *testing.T
	cmd     *exec.Cmd
	stdout  output
	stderr  output
	ended   chan struct{}
	dir     string
	more    []string // settings
	stopped sync.Once

	issuer, internal string // base URLs of the listeners
}

var greetedURLs = regexp.MustCompile(`(?s)public +(http://\S+) .*internal +(http://\S+) `)

// start starts a service on ports that the system chooses, and waits until it is ready.
func start(t *testing.T, settings ...string) *service {
	t.Helper()
	s := &service{t: t, ended: make(chan struct{}), dir: place(t), more: settings}
	s.cmd = s.api()
	s.cmd.Stdout, s.cmd.Stderr = &s.stdout, &s.stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // stop looks at the state
		close(s.ended)
	}()
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("api serve printed:\n%s%s", &s.stdout, &s.stderr)
		}
	})
	await(t, "the service", func() bool {
		select {
		case <-s.ended:
			t.Fatal("the service ended before it was ready")
		default:
		}
		m := greetedURLs.FindStringSubmatch(s.stdout.String())
		if m == nil {
			return false
		}
		s.issuer, s.internal = m[1], m[2]
		status, _ := s.send(http.MethodGet, s.internal+"/readyz", "", nil)
		return status == http.StatusOK
	})
	return s
}

// api is the command with the service's settings.
func (s *service) api(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.WithoutCancel(s.t.Context()), program, args...)
	cmd.Dir, cmd.Env = s.dir, s.environment()
	return cmd
}

// environment is the service's settings, and nothing of the machine's but what programs need.
func (s *service) environment() []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "VAR_DIR=" + filepath.Join(s.dir, "var"),
		"PUBLIC_ADDR=127.0.0.1:0", "INTERNAL_ADDR=127.0.0.1:0", "SERVICE_KEYS=clients:" + serviceKey, "AUDIENCE=" + audience,
		"KEY_ENCRYPTION_KEY=" + sealingKey, "ACCESS_TOKEN_TTL=" + accessTokenTTL.String(), "REFRESH_GRACE=" + grace.String(),
	}, s.more...)
}

// stop ends the service, if it still runs: it must end well.
func (s *service) stop() {
	s.t.Helper()
	s.stopped.Do(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-s.ended:
		case <-time.After(patience):
			s.t.Error("the service does not end")
			_ = s.cmd.Process.Kill()
			<-s.ended
		}
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			s.t.Errorf("the service ended with code %d", code)
		}
	})
}

// signIn makes a session, as a backend does after a login. It returns what the backend hands to its client.
func (s *service) signIn(subject string) []byte {
	s.t.Helper()
	status, body := s.send(http.MethodPost, s.internal+"/v1/sessions", serviceKey, map[string]any{"subject": subject, "data": map[string]any{}})
	if status != http.StatusCreated {
		s.t.Fatalf("create a session: %d %s", status, body)
	}
	return body
}

// pair is a token response.
type pair struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func (s *service) signInPair(subject string) (p pair) {
	s.t.Helper()
	if err := json.Unmarshal(s.signIn(subject), &p); err != nil || p.Access == "" || p.Refresh == "" {
		s.t.Fatalf("the token response: %+v, %v", p, err)
	}
	return p
}

// revoke is RFC 7009.
func (s *service) revoke(token string) {
	s.t.Helper()
	if status, body := s.send(http.MethodPost, s.issuer+"/oauth2/revoke", "", url.Values{"token": {token}}); status != http.StatusOK {
		s.t.Fatalf("revoke: %d %s", status, body)
	}
}

// active asks the introspection endpoint.
func (s *service) active(token string) bool {
	s.t.Helper()
	status, body := s.send(http.MethodPost, s.internal+"/oauth2/introspect", serviceKey, url.Values{"token": {token}})
	var answer struct {
		Active bool `json:"active"`
	}
	if err := json.Unmarshal(body, &answer); status != http.StatusOK || err != nil {
		s.t.Fatalf("introspect: %d %s (%v)", status, body, err)
	}
	return answer.Active
}

// rotateKeys has a new key sign at once.
func (s *service) rotateKeys() {
	s.t.Helper()
	run(s.t, s.dir, s.environment(), program, "keys", "rotate", "--now")
}

// send sends a form, JSON or nothing. Status 0 is no answer.
func (s *service) send(method, address, bearer string, body any) (int, []byte) {
	s.t.Helper()
	var content []byte
	mediaType := ""
	switch body := body.(type) {
	case nil:
	case url.Values:
		content, mediaType = []byte(body.Encode()), "application/x-www-form-urlencoded"
	default:
		var err error
		if content, err = json.Marshal(body); err != nil {
			s.t.Fatal(err)
		}
		mediaType = "application/json"
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, address, bytes.NewReader(content))
	if err != nil {
		s.t.Fatal(err)
	}
	if mediaType != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return response.StatusCode, answer
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// place is a folder that PostgreSQL's and nginx's users can reach too, where tests are run by root.
func place(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// need fails without a program: nothing is skipped, as a client that was not tried does not count.
func need(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%s is not installed", name)
		}
	}
}

// run runs a program to its end. It must end well.
func run(t *testing.T, dir string, environment []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, environment, time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(append([]string{name}, args...), " "), err, out)
	}
	return string(out)
}

// output is what a process prints, read while it does.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
