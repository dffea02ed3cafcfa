package compas_test

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
	"sync"
	"syscall"
	"testing"
	"time"
)

const serviceKey = "a-service-key-that-only-tests-have-0001"

// service is a running `api serve` on the database of Compas.
type service struct {
	t                *testing.T
	dir, database    string
	public, internal string // base URLs
	log              *output
}

// migrate is the one command of a take-over.
func (c *compas) migrate() {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), program, "migrate")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "DATABASE_URL=" + c.url}
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("api migrate: %v\n%s", err, out)
	}
}

var listeners = regexp.MustCompile(`msg=ready .*public=(\S+) internal=(\S+)`)

// startService serves what Compas left.
func (c *compas) startService(more ...string) *service {
	c.t.Helper()
	s := &service{t: c.t, dir: c.t.TempDir(), database: c.url, log: &output{}}
	keys, err := exec.CommandContext(c.t.Context(), program, "keys", "generate").Output()
	if err != nil {
		c.t.Fatal(err)
	}
	keyFile := filepath.Join(s.dir, "keys.json")
	if err := os.WriteFile(keyFile, keys, 0o600); err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(c.t.Context()), program, "serve")
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "DATABASE_URL=" + c.url, "SIGNING_KEYS_FILE=" + keyFile, "LOG_FORMAT=text",
		"PUBLIC_ADDR=127.0.0.1:0", "INTERNAL_ADDR=127.0.0.1:0", "SERVICE_KEYS=compas:" + serviceKey, "COMPAS_SIGNING_KEY=" + signingKey,
	}, more...)
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	var result error
	ended := make(chan struct{})
	go func() {
		result = cmd.Wait()
		close(ended)
	}()
	c.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		<-ended
		if result != nil {
			c.t.Errorf("the service ended with %v", result)
		}
		if c.t.Failed() {
			c.t.Logf("api serve printed:\n%s", s.log)
		}
	})
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		select {
		case <-ended:
			c.t.Fatal("the service ended before it was ready")
		default:
		}
		if m := listeners.FindStringSubmatch(s.log.String()); m != nil {
			s.public, s.internal = "http://"+m[1], "http://"+m[2]
			return s
		}
		if time.Since(began) > patience {
			c.t.Fatalf("the service is not ready:\n%s", s.log)
		}
	}
}

// tokens is a token response.
type tokens struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	ExpiresIn int    `json:"expires_in"`
	Error     string `json:"error"`
}

// refresh is RFC 6749 §6.
func (s *service) refresh(token string) (status int, answer tokens) {
	s.t.Helper()
	status, body := s.send(http.MethodPost, s.public+"/oauth2/token", "", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
	if err := json.Unmarshal(body, &answer); err != nil {
		s.t.Errorf("a refresh is answered with %d %s", status, body)
	}
	return status, answer
}

func (s *service) mustRefresh(token string) tokens {
	s.t.Helper()
	status, answer := s.refresh(token)
	if status != http.StatusOK {
		s.t.Fatalf("a refresh is answered with %d %s", status, answer.Error)
	}
	return answer
}

// introspection is RFC 7662 §2.2 with the session.
type introspection struct {
	Active  bool   `json:"active"`
	Exp     *int64 `json:"exp"`
	Sid     string `json:"sid"`
	Session struct {
		ID       string          `json:"id"`
		Data     json.RawMessage `json:"data"`
		Checksum string          `json:"checksum"`
	} `json:"session"`
}

func (s *service) introspect(token string) (i introspection) {
	s.t.Helper()
	status, body := s.send(http.MethodPost, s.internal+"/oauth2/introspect", serviceKey, url.Values{"token": {token}})
	if err := json.Unmarshal(body, &i); status != http.StatusOK || err != nil {
		s.t.Fatalf("introspect: %d %s (%v)", status, body, err)
	}
	return i
}

// send sends a form, JSON or nothing.
func (s *service) send(method, address, bearer string, body any, header ...string) (int, []byte) {
	s.t.Helper()
	var content []byte
	mediaType := "application/x-www-form-urlencoded"
	switch body := body.(type) {
	case nil:
	case url.Values:
		content = []byte(body.Encode())
	case string:
		content, mediaType = []byte(body), "application/json"
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, address, bytes.NewReader(content))
	if err != nil {
		s.t.Fatal(err)
	}
	if content != nil {
		r.Header.Set("Content-Type", mediaType)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, answer
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

// cleanup is the command.
func (s *service) cleanup() error {
	cmd := exec.CommandContext(s.t.Context(), program, "cleanup")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "DATABASE_URL=" + s.database}
	out, err := cmd.CombinedOutput()
	s.t.Logf("%s", out)
	return err
}
