package httpapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	testIssuer = "https://auth.example.com"
	// patience is how long the slowest machine may take for something quick.
	patience   = 2 * time.Minute
	testOrigin = "https://app.example.com"
	serviceKey = "a-service-key-that-only-tests-have-0001"
	// secretData is in all data that tests store, to be looked for in the log.
	secretData = "only-the-backend-may-read-this"
	// testKeys has the key of RFC 8037, appendix A.
	testKeys = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"rfc8037","alg":"EdDSA","use":"sig",
		"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// service is a server on its own database. Whatever goes through its
// public and internal methods is validated against openapi.yaml, and when the
// test ends its log is searched for every secret that was used.
type service struct {
	server *httpapi.Server
	store  *sessionstore.Store
	keys   *tokens.KeyRing
	pool   *pgxpool.Pool
	log    *logBuffer

	mu      sync.Mutex
	secrets []string
}

// setup starts a service; change may adapt its configuration.
func setup(t *testing.T, change ...func(*httpapi.Config, *sessionstore.Config)) *service {
	t.Helper()
	return setupOn(t, testdb.Pool(t), change...)
}

func setupOn(t *testing.T, pool *pgxpool.Pool, change ...func(*httpapi.Config, *sessionstore.Config)) *service {
	t.Helper()
	s := &service{pool: pool, log: &logBuffer{}, secrets: []string{serviceKey, secretData}}
	cfg := httpapi.Config{
		Issuer:      testIssuer,
		ClientID:    "latchkey",
		ServiceKeys: []httpapi.ServiceKey{{Name: "backend", Secret: serviceKey}},
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4")
			_, _ = io.WriteString(w, "up 1\n")
		}),
		DeadEvents: &deadEvents{}, SharedSignals: true,
		Logger: slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	storeCfg := sessionstore.Config{Tokens: tokens.Config{Issuer: testIssuer, Audience: "latchkey"}}
	for _, c := range change {
		c(&cfg, &storeCfg)
	}
	var err error
	if s.keys, err = tokens.ParseKeyRing([]byte(testKeys)); err != nil {
		t.Fatal(err)
	}
	if s.store, err = sessionstore.New(pool, s.keys, storeCfg); err != nil {
		t.Fatal(err)
	}
	if s.server, err = httpapi.New(s.store, s.keys, cfg); err != nil {
		t.Fatal(err)
	}
	s.server.StopRateClock()
	t.Cleanup(func() { s.checkLog(t) })
	return s
}

// response is an answer with its body read.
type response struct {
	*http.Response
	body []byte
}

// json decodes the body.
func (r response) json(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(r.body, &m); err != nil {
		t.Fatalf("%v in %q", err, r.body)
	}
	return m
}

// at returns a member that must be there, and a T.
func at[T any](t *testing.T, m map[string]any, name string) T {
	t.Helper()
	v, ok := m[name].(T)
	if !ok {
		t.Fatalf("%s is %T in %v", name, m[name], m)
	}
	return v
}

// want fails the test unless the answer has the status.
func (r response) want(t *testing.T, status int) response {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("status %d, want %d: %s", r.StatusCode, status, r.body)
	}
	return r
}

// wantProblem fails the test unless the answer is a problem document, or below
// /oauth2/ an error, with the code.
func (r response) wantProblem(t *testing.T, status int, code string) map[string]any {
	t.Helper()
	r.want(t, status)
	m := r.json(t)
	mediaType, got := "application/problem+json", m["code"]
	if strings.HasPrefix(r.Request.URL.Path, "/oauth2/") {
		mediaType, got = "application/json", m["error"]
	}
	if got != code {
		t.Fatalf("code %q, want %q: %s", got, code, r.body)
	}
	if ct := r.Header.Get("Content-Type"); ct != mediaType {
		t.Fatalf("Content-Type %q, want %q", ct, mediaType)
	}
	return m
}

// option changes a request.
type option func(*http.Request)

func bearer(token string) option {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func header(name, value string) option {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func body(mediaType, text string) option {
	return func(r *http.Request) {
		r.Header.Set("Content-Type", mediaType)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	}
}

func jsonBody(text string) option { return body("application/json", text) }

// form takes names and values in turn.
func form(pairs ...string) option {
	parts := make([]string, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, url.QueryEscape(pairs[i])+"="+url.QueryEscape(pairs[i+1]))
	}
	return body("application/x-www-form-urlencoded", strings.Join(parts, "&"))
}

func (s *service) public(t *testing.T, method, target string, options ...option) response {
	t.Helper()
	return s.do(t, s.server.Public(), method, target, options...)
}

// internal sends the service key unless an option sets another Authorization.
func (s *service) internal(t *testing.T, method, target string, options ...option) response {
	t.Helper()
	return s.do(t, s.server.Internal(), method, target, append([]option{bearer(serviceKey)}, options...)...)
}

func (s *service) do(t *testing.T, handler http.Handler, method, target string, options ...option) response {
	t.Helper()
	r := newRequest(t, method, target, options...)
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(sent))
	answer := s.send(t, handler, r)
	validate(t, r, sent, answer)
	return answer
}

func newRequest(t *testing.T, method, target string, options ...option) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, http.NoBody)
	for _, o := range options {
		o(r)
	}
	return r
}

// send does not look at openapi.yaml.
func (s *service) send(t *testing.T, handler http.Handler, r *http.Request) response {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	result := w.Result()
	result.Request = r
	got, err := io.ReadAll(result.Body)
	if err != nil {
		t.Fatal(err)
	}
	s.noteSecrets(got)
	return response{result, got}
}

// session is what a creation answers.
type session struct {
	id, access, refresh, checksum string
}

func sessionOf(m map[string]any) session {
	text := func(m map[string]any, name string) string { s, _ := m[name].(string); return s }
	inner, _ := m["session"].(map[string]any) // the answer to a refresh has none
	return session{
		access: text(m, "access_token"), refresh: text(m, "refresh_token"),
		id: text(inner, "id"), checksum: text(inner, "checksum"),
	}
}

// create makes a session; an empty subject makes one without.
func (s *service) create(t *testing.T, subject string) session {
	t.Helper()
	request := map[string]any{"data": map[string]any{"note": secretData}}
	if subject != "" {
		request["subject"] = subject
	}
	text, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return sessionOf(s.internal(t, "POST", "/v1/sessions", jsonBody(string(text))).want(t, 201).json(t))
}

// endGrace makes every pair older than a grace.
func (s *service) endGrace(t *testing.T) {
	t.Helper()
	const query = `UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - $1::interval`
	if _, err := s.pool.Exec(t.Context(), query, sessionstore.DefaultGrace); err != nil {
		t.Fatal(err)
	}
}

func (s *service) refresh(t *testing.T, token string) response {
	t.Helper()
	return s.public(t, "POST", "/oauth2/token", form("grant_type", "refresh_token", "refresh_token", token))
}

// accepted reports whether an access token is.
func (s *service) accepted(t *testing.T, token string) bool {
	t.Helper()
	answer := s.public(t, "GET", "/v1/me/sessions/current", bearer(token))
	if answer.StatusCode != http.StatusOK {
		answer.wantProblem(t, 401, "invalid_token")
	}
	return answer.StatusCode == http.StatusOK
}

func (s *service) noteSecrets(body []byte) {
	var m struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if json.Unmarshal(body, &m) == nil && m.Access != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.secrets = append(s.secrets, m.Access)
		if m.Refresh != "" { // a session may have none
			s.secrets = append(s.secrets, m.Refresh)
		}
	}
}

// checkLog: security 21, in every test.
func (s *service) checkLog(t *testing.T) {
	t.Helper()
	log := s.log.String()
	begins := map[string]bool{} // whether the log has the beginning of a secret: thousands of tokens share theirs
	for _, secret := range s.secrets {
		beginning := secret[:min(len(secret), 20)]
		if _, known := begins[beginning]; !known {
			begins[beginning] = strings.Contains(log, beginning)
		}
		if begins[beginning] && strings.Contains(log, secret) {
			t.Errorf("the log has the secret %q:\n%s", secret, log)
		}
	}
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// last returns the log's last line.
func (l *logBuffer) last(t *testing.T) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(l.String()), "\n")
	var m map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &m); err != nil {
		t.Fatal(err)
	}
	return m
}
