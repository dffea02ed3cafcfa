package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

func TestServeOnDatabaseURL(t *testing.T) {
	t.Parallel()
	settings := configure(t, testdb.URL(t))

	s := start(t, t.TempDir(), settings)
	pair := s.CreateSession(testKey, `{"subject":"ada","data":{}}`)
	if code := s.Current(pair.AccessToken); code != http.StatusOK {
		t.Errorf("the session answers %d", code)
	}
	if code, _ := s.Send(http.MethodGet, s.Internal+"/v1/sessions?subject=ada", testKey+"x", nil); code != http.StatusUnauthorized {
		t.Errorf("a wrong service key answers %d", code)
	}
	if code := s.End(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}

	if s.Stdout.String() != "" {
		t.Errorf("a service without a terminal prints: %s", s.Stdout)
	}
	for line := range strings.Lines(s.Stderr.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of the log is not JSON: %s", line)
		}
	}
	printed := s.Stderr.String()
	for _, secret := range []string{testKey, pair.AccessToken, pair.RefreshToken, password(t, settings["LATCHKEY_DATABASE_URL"])} {
		if strings.Contains(printed, secret) {
			t.Errorf("a secret was logged:\n%s", printed)
		}
	}
}

func password(t *testing.T, database string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(database)
	if err != nil || cfg.Password == "" {
		t.Fatalf("the tests' database has no password: %v", err)
	}
	return cfg.Password
}

func TestServiceKeysFile(t *testing.T) {
	t.Parallel()
	settings := configure(t, testdb.URL(t))
	file := writeFile(t, "one:"+testKey+"\n\n  two:x"+testKey+":create+end, three:y"+testKey+":introspect "+testKey+"bare\r\n", t.TempDir(), "keys")

	s := start(t, t.TempDir(), settings.With(env{"LATCHKEY_SERVICE_KEYS": "", "LATCHKEY_SERVICE_KEYS_FILE": file}))
	for _, key := range []string{testKey, "x" + testKey, testKey + "bare"} {
		s.CreateSession(key, `{"data":{}}`)
	}
	if code, answer := s.Send(http.MethodPost, s.Internal+"/v1/sessions", "y"+testKey, `{"data":{}}`); code != http.StatusForbidden {
		t.Errorf("with a key for introspection: %d %s", code, answer)
	}
}

func TestSettingsReachTheService(t *testing.T) {
	t.Parallel()
	settings := configure(t, testdb.URL(t)).With(env{
		"LATCHKEY_ACCESS_TOKEN_TTL": "52s", "LATCHKEY_REFRESH_TOKEN_TTL": "53s", "LATCHKEY_SESSION_TTL": "500s", "LATCHKEY_RATE_LIMIT": "3", "LATCHKEY_RATE_LIMIT_SESSION": "7", "LATCHKEY_CORS_ORIGINS": "https://app.example.com", "LATCHKEY_LOG_FORMAT": "text",
		"LATCHKEY_SESSIONS_PER_SUBJECT": "1", "LATCHKEY_SESSIONS_PER_SUBJECT_ACTION": "refuse",
	})

	s := launchReady(t, settings)
	code, answer := s.Send(http.MethodPost, s.Internal+"/v1/sessions", testKey, `{"data":{}}`)
	wantLifetimes(t, code, answer, 52, 53)
	// Its own lifetimes come before the defaults, and its absolute end before them.
	own, ownAnswer := s.Send(http.MethodPost, s.Internal+"/v1/sessions", testKey, `{"data":{},"access_token_ttl":60,"refresh_token_ttl":600}`)
	wantLifetimes(t, own, ownAnswer, 60, 500)
	if got := s.rateLimits(testservice.ParsePair(t, answer).AccessToken); got != `"address";q=3;w=60, "session";q=7;w=60` {
		t.Errorf("RateLimit-Policy: %s", got)
	}
	for _, want := range []int{http.StatusCreated, http.StatusConflict} {
		if code, answer := s.Send(http.MethodPost, s.Internal+"/v1/sessions", testKey, `{"subject":"ada","data":{}}`); code != want {
			t.Errorf("with one session for each subject: %d %s", code, answer)
		}
	}
	codes := map[int]int{}
	for range 3 {
		codes[s.Current("x")]++
	}
	if codes[http.StatusUnauthorized] != 2 || codes[http.StatusTooManyRequests] != 1 {
		t.Errorf("with a limit of 3: %v", codes)
	}
	if !strings.Contains(s.Stderr.String(), "msg=ready") {
		t.Errorf("the log is not text: %s", s.Stderr)
	}
}

// The settings decide what a creation may specify of a session, and what is shown of it.
func TestSessionSettingsReachTheService(t *testing.T) {
	t.Parallel()
	s := launchReady(t, configure(t, testdb.URL(t)).With(env{
		"LATCHKEY_ACCESS_TOKEN_TTL_MIN": "1m", "LATCHKEY_ACCESS_TOKEN_TTL_MAX": "10m", "LATCHKEY_REFRESH_TOKEN_TTL": "20m",
		"LATCHKEY_REFRESH_TOKEN_TTL_MIN": "15m", "LATCHKEY_REFRESH_TOKEN_TTL_MAX": "30m", "LATCHKEY_SESSION_TTL": "8h",
		"LATCHKEY_SESSION_TTL_MIN": "1h", "LATCHKEY_SESSION_TTL_MAX": "24h", "LATCHKEY_ACCESS_TOKEN_GRACE": "false",
		"LATCHKEY_HIDE_ACTED_SESSIONS": "true", "LATCHKEY_LOG_FORMAT": "text",
	}))
	create := func(body string) (int, string) {
		return s.Send(http.MethodPost, s.Internal+"/v1/sessions", testKey, body)
	}
	for member, bounds := range map[string]struct {
		least, most int
		says        string
	}{
		"access_token_ttl":  {60, 600, "between 1m0s and 10m0s"},
		"refresh_token_ttl": {900, 1800, "between 15m0s and 30m0s"},
		"session_ttl":       {3600, 86400, "between 1h0m0s and 24h0m0s"},
	} {
		for _, ttl := range []int{bounds.least, bounds.most} {
			if code, answer := create(fmt.Sprintf(`{%q:%d}`, member, ttl)); code != http.StatusCreated {
				t.Errorf("%s of %d s: %d %s", member, ttl, code, answer)
			}
		}
		for _, ttl := range []int{bounds.least - 1, bounds.most + 1} {
			if code, answer := create(fmt.Sprintf(`{%q:%d}`, member, ttl)); code != http.StatusBadRequest || !strings.Contains(answer, bounds.says) || !strings.Contains(answer, "/"+member) {
				t.Errorf("%s of %d s: %d %s", member, ttl, code, answer)
			}
		}
	}

	pair := s.CreateSession(testKey, `{"subject":"ada"}`)
	s.CreateSession(testKey, `{"subject":"ada","act":{"sub":"support-7"}}`)
	code, answer := s.Send(http.MethodGet, s.Public+"/v1/me/sessions", pair.AccessToken, "")
	if code != http.StatusOK || strings.Contains(answer, "support-7") || strings.Count(answer, `"id"`) != 1 {
		t.Errorf("the subject's own list: %d %s", code, answer)
	}
	if code, _ := s.Refresh(pair.RefreshToken); code != http.StatusOK {
		t.Fatalf("a refresh: %d", code)
	}
	if code := s.Current(pair.AccessToken); code != http.StatusUnauthorized {
		t.Errorf("a replaced access token, without a grace: %d", code)
	}
}

// Without an idle timeout a session and its refresh tokens live until its end, refreshed or
// not. A session may still have its own idle timeout, or none despite a default.
func TestNoIdleTimeout(t *testing.T) {
	t.Parallel()
	settings := configure(t, testdb.URL(t))
	without := launchReady(t, settings.With(env{"LATCHKEY_REFRESH_TOKEN_TTL": "0", "LATCHKEY_SESSION_TTL": "1000h"}))
	with := launchReady(t, settings)
	const end = 1000 * 60 * 60 // beyond the default idle timeout
	for name, test := range map[string]struct {
		s       *service
		body    string
		refresh int // seconds until its refresh token expires
	}{
		"none by the settings":              {without, `{}`, end},
		"none by the settings, an own end":  {without, `{"session_ttl":7200}`, 7200},
		"an own one":                        {without, `{"refresh_token_ttl":1800}`, 1800},
		"none of its own":                   {with, `{"refresh_token_ttl":0,"session_ttl":3600000}`, end},
		"the default one, longer than ends": {with, `{"session_ttl":7200}`, 7200},
		"the default one":                   {with, `{"session_ttl":3600000}`, 720 * 60 * 60},
	} {
		code, answer := test.s.Send(http.MethodPost, test.s.Internal+"/v1/sessions", testKey, test.body)
		wantLifetimes(t, code, answer, 300, test.refresh)
		code, answer = test.s.Refresh(testservice.ParsePair(t, answer).RefreshToken)
		if code != http.StatusOK {
			t.Fatalf("%s: a refresh: %d %s", name, code, answer)
		}
		wantLifetimes(t, http.StatusCreated, answer, 300, test.refresh)
	}
	code, answer := with.Send(http.MethodPost, with.Internal+"/v1/sessions", testKey, `{"refresh_token_ttl":0}`)
	if code != http.StatusBadRequest || !strings.Contains(answer, `"/session_ttl"`) || !strings.Contains(answer, "must have an end") {
		t.Errorf("neither an idle timeout nor an end: %d %s", code, answer)
	}
}

// wantLifetimes requires tokens that expire in the given numbers of seconds, of which two may
// have passed.
func wantLifetimes(t *testing.T, code int, answer string, access, refresh int) {
	t.Helper()
	var got struct {
		ExpiresIn        int `json:"expires_in"`
		RefreshExpiresIn int `json:"refresh_expires_in"`
	}
	err := json.Unmarshal([]byte(answer), &got)
	if near := func(got, want int) bool { return got <= want && got >= want-2 }; err != nil || code != http.StatusCreated ||
		!near(got.ExpiresIn, access) || !near(got.RefreshExpiresIn, refresh) {
		t.Errorf("%d %s, want %d s and %d s", code, answer, access, refresh)
	}
}

// rateLimits are the limits that a request with an access token counts for.
func (s *service) rateLimits(accessToken string) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.Public+"/v1/me/sessions/current", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+accessToken)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	return strings.Join(answer.Header.Values("RateLimit-Policy"), ", ")
}

// launchReady is start for a log that is text.
func launchReady(t *testing.T, settings env) *service {
	t.Helper()
	public, internal := testservice.FreeAddress(t), testservice.FreeAddress(t)
	for internal == public {
		internal = testservice.FreeAddress(t)
	}
	s := launch(t, t.TempDir(), settings.With(env{"LATCHKEY_PUBLIC_ADDR": public, "LATCHKEY_INTERNAL_ADDR": internal}))
	s.Public, s.Internal = "http://"+public, "http://"+internal
	s.AwaitReady()
	return s
}

// A request that waits for a lock is answered before the service ends.
func TestSignalDrainsRequests(t *testing.T) {
	t.Parallel()
	database := testdb.URL(t)
	s := start(t, t.TempDir(), configure(t, database))

	unlock := lockSessions(t, database)
	answers := s.SendBeside(http.MethodPost, s.Internal+"/v1/sessions", testKey, `{"data":{}}`)
	awaitBlocked(t, database, "latchkey", `AS "length"`) // the creation
	s.Signal(syscall.SIGTERM)
	s.awaitDraining()
	select {
	case answer := <-answers:
		t.Fatalf("the request did not wait: %v", answer)
	case <-s.Ended:
		t.Fatal("the service did not wait for its request")
	default:
	}
	unlock()

	if answer := <-answers; answer.Status != http.StatusCreated {
		t.Errorf("the request was answered %v", answer)
	}
	if code := s.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if said := s.Stderr.String(); strings.Count(said, `"level":"INFO","msg":"the service stops","why":"signal: terminated"`) != 1 {
		t.Errorf("said:\n%s", said)
	}
}

func TestSecondSignalForces(t *testing.T) {
	t.Parallel()
	database := testdb.URL(t)
	s := start(t, t.TempDir(), configure(t, database))

	defer lockSessions(t, database)()
	s.SendBeside(http.MethodPost, s.Internal+"/v1/sessions", testKey, `{"data":{}}`)
	awaitBlocked(t, database, "latchkey", `AS "length"`) // the creation
	s.Signal(syscall.SIGINT)
	s.awaitDraining()
	if code := s.End(syscall.SIGINT); code != -1 {
		t.Errorf("exit code %d, want the signal's end", code)
	}
}

// awaitDraining waits until a signal has been noticed: no new connections are accepted.
func (s *service) awaitDraining() {
	s.Await("draining", func() bool {
		code, _ := s.Send(http.MethodGet, s.Internal+"/livez", "", nil)
		return code == 0
	})
}

// lockSessions makes every statement that writes a session wait.
func lockSessions(t *testing.T, database string) (unlock func()) {
	t.Helper()
	return hold(t, database, `LOCK TABLE "sessionStore"`)
}

// hold takes a lock, and keeps it until the function that it returns is called.
func hold(t *testing.T, database, lock string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `BEGIN; `+lock); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := conn.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
}

// awaitBlocked waits until a statement that has the text somewhere waits for a lock: what runs alongside requests may,
// too.
func awaitBlocked(t *testing.T, database, application, text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	const query = `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1 AND wait_event_type = 'Lock' AND strpos(query, $2) > 0)`
	for blocked := false; !blocked; time.Sleep(10 * time.Millisecond) {
		if err := conn.QueryRow(t.Context(), query, application, text).Scan(&blocked); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDatabaseOutage(t *testing.T) {
	t.Parallel()
	server := testdb.NewServer(t)
	s := start(t, t.TempDir(), configure(t, server.URL()))
	pair := s.CreateSession(testKey, `{"data":{}}`)

	server.Kill()
	if code := s.Current(pair.AccessToken); code != http.StatusServiceUnavailable {
		t.Errorf("without a database the session answers %d", code)
	}
	if code, _ := s.Send(http.MethodGet, s.Internal+"/livez", "", nil); code != http.StatusOK {
		t.Errorf("without a database the service is not alive: %d", code)
	}
	server.Start()
	s.Await("recovery", func() bool { return s.Current(pair.AccessToken) == http.StatusOK })
	s.Await("word of it", func() bool {
		return strings.Contains(s.Stderr.String(), `"level":"INFO","msg":"the database is back","away_seconds":`)
	})
	if said := s.Stderr.String(); strings.Count(said, `"msg":"the database is away"`) != 1 || strings.Contains(said, "river") || strings.Contains(said, "Elector") {
		t.Errorf("said:\n%s", said)
	}
	server.Stop()
	if code := s.End(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d without a database", code)
	}
}

// A database that does not answer any more costs a request an error, and the service nothing.
func TestHangingDatabase(t *testing.T) {
	t.Parallel()
	proxy := newProxy(t, testdb.URL(t))
	s := start(t, t.TempDir(), configure(t, proxy.url))
	pair := s.CreateSession(testKey, `{"data":{}}`)

	s.Await("first cleanup", func() bool { return strings.Contains(s.Stderr.String(), "cleaned up") })
	proxy.hang.Store(true)
	began := time.Now()
	if code := s.Current(pair.AccessToken); code != http.StatusServiceUnavailable {
		t.Errorf("on a database that hangs the session answers %d", code)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("a request took %v", took)
	}
	began = time.Now()
	s.End(syscall.SIGTERM)
	if took := time.Since(began); took > time.Minute {
		t.Errorf("the service took %v to end", took)
	}
}

// proxy is in front of a database and can stop answering.
type proxy struct {
	url  string
	hang atomic.Bool
}

func newProxy(t *testing.T, database string) *proxy {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	behind := u.Host
	u.Host = listener.Addr().String()
	p := &proxy{url: u.String()}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.connect(context.WithoutCancel(t.Context()), client, behind)
		}
	}()
	return p
}

func (p *proxy) connect(ctx context.Context, client net.Conn, behind string) {
	defer func() { _ = client.Close() }()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", behind)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go p.copy(server, client)
	p.copy(client, server)
}

func (p *proxy) copy(to io.WriteCloser, from io.Reader) {
	defer func() { _ = to.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if p.hang.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
