package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
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

// patience covers a first start, with a database to be made, on a slow and busy machine.
const patience = 2 * time.Minute

// env is the environment of a process: settings, and nothing of the machine's but what programs need.
type env map[string]string

func (e env) with(more env) env {
	all := env{}
	for _, m := range []env{e, more} {
		maps.Copy(all, m)
	}
	return all
}

func (e env) list() []string {
	list := []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GORACE=atexit_sleep_ms=0"}
	for k, v := range e {
		list = append(list, k+"="+v)
	}
	return list
}

// result is how a command ended.
type result struct {
	code           int
	stdout, stderr string
}

// api runs the command to its end, in a folder of the test's.
func api(t *testing.T, settings env, args ...string) result {
	t.Helper()
	return apiIn(t, t.TempDir(), settings, args...)
}

func apiIn(t *testing.T, dir string, settings env, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, settings.list()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Fatalf("api %s: %v", strings.Join(args, " "), err)
		}
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// mustAPI runs the command and returns what it printed. It must end well.
func mustAPI(t *testing.T, dir string, settings env, args ...string) string {
	t.Helper()
	r := apiIn(t, dir, settings, args...)
	if r.code != 0 {
		t.Fatalf("api %s: exit code %d: %s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// place is a folder that PostgreSQL's user can reach too, where tests are run by root. Its name has a space.
func place(t *testing.T) string {
	t.Helper()
	parent := t.TempDir()
	dir := filepath.Join(parent, "a place")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{filepath.Dir(parent), parent, dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// service is a running api serve, in a process group of its own as a shell starts it.
type service struct {
	t                *testing.T
	cmd              *exec.Cmd
	stdout, stderr   *output
	public, internal string // base URLs
	ended            chan struct{}
}

var (
	greetedURLs = regexp.MustCompile(`(?s)public +(http://\S+) .*internal +(http://\S+) `)
	loggedURLs  = regexp.MustCompile(`"msg":"ready".*"public":"([^"]+)","internal":"([^"]+)"`)
)

// start starts the service on ports that the system chooses, and waits until it is ready.
func start(t *testing.T, dir string, settings env) *service {
	t.Helper()
	s := launch(t, dir, settings.with(env{"PUBLIC_ADDR": "127.0.0.1:0", "INTERNAL_ADDR": "127.0.0.1:0"}))
	s.await("addresses", func() bool {
		if m := greetedURLs.FindStringSubmatch(s.stdout.String()); m != nil {
			s.public, s.internal = m[1], m[2]
		} else if m := loggedURLs.FindStringSubmatch(s.stderr.String()); m != nil {
			s.public, s.internal = "http://"+m[1], "http://"+m[2]
		}
		return s.public != ""
	})
	s.await("readiness", func() bool {
		code, _ := s.request(http.MethodGet, s.internal+"/readyz", "", "")
		return code == http.StatusOK
	})
	return s
}

func launch(t *testing.T, dir string, settings env, args ...string) *service {
	t.Helper()
	s := &service{t: t, stdout: &output{}, stderr: &output{}, ended: make(chan struct{})}
	s.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	s.cmd.Dir, s.cmd.Env = dir, settings.list()
	s.cmd.Stdout, s.cmd.Stderr = s.stdout, s.stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // the tests look at the state
		close(s.ended)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("api serve printed:\n%s%s", s.stdout, s.stderr)
		}
		s.signal(syscall.SIGKILL)
		<-s.ended
	})
	return s
}

// signal reaches the whole process group, as a terminal's Ctrl-C does.
func (s *service) signal(signal syscall.Signal) {
	_ = syscall.Kill(-s.cmd.Process.Pid, signal) // it may have ended
}

// end signals, waits, and returns the exit code: -1 for a process that the signal itself ended.
func (s *service) end(signal syscall.Signal) int {
	s.t.Helper()
	s.signal(signal)
	return s.wait()
}

func (s *service) wait() int {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatal("the service does not end")
	}
	return s.cmd.ProcessState.ExitCode()
}

func (s *service) await(what string, done func() bool) {
	s.t.Helper()
	for began := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
		select {
		case <-s.ended:
			s.t.Fatalf("the service ended before its %s", what)
		default:
		}
		if time.Since(began) > patience {
			s.t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// request returns status 0 where there is no answer.
func (s *service) request(method, url, bearer, body string) (int, string) {
	s.t.Helper()
	answer := <-s.requestBeside(method, url, bearer, body)
	return answer.code, answer.body
}

type answer struct {
	code int
	body string
}

// requestBeside is request without waiting for the answer.
func (s *service) requestBeside(method, url, bearer, body string) <-chan answer {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), patience)
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	answers := make(chan answer, 1)
	go func() {
		defer cancel()
		answers <- do(r, bearer, body != "")
	}()
	return answers
}

func do(r *http.Request, bearer string, hasBody bool) answer {
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	if hasBody {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{0, err.Error()}
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{0, err.Error()}
	}
	return answer{response.StatusCode, string(content)}
}

// tokenPair is what clients are answered.
type tokenPair struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	Session      struct {
		ID string `json:"id"`
	} `json:"session"`
}

func (s *service) createSession(key, body string) tokenPair {
	s.t.Helper()
	code, answer := s.request(http.MethodPost, s.internal+"/v1/sessions", key, body)
	if code != http.StatusCreated {
		s.t.Fatalf("create a session: %d %s", code, answer)
	}
	return parsePair(s.t, answer)
}

func parsePair(t *testing.T, text string) (pair tokenPair) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &pair); err != nil || pair.AccessToken == "" || pair.RefreshToken == "" {
		t.Fatalf("not a token response: %s", text)
	}
	return pair
}

// current asks for the access token's session and returns the status.
func (s *service) current(accessToken string) int {
	s.t.Helper()
	code, _ := s.request(http.MethodGet, s.public+"/v1/me/sessions/current", accessToken, "")
	return code
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

func readFile(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func writeFile(t *testing.T, content string, path ...string) string {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
