package main_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

const (
	// serverConnections is how many connections PgBouncer has to PostgreSQL: fewer than its clients, so that they share them.
	serverConnections = 3
	manyClients       = 4 * serverConnections
	// bound is LATCHKEY_REVOCATION_BOUND, askPause how often the database is then queried.
	bound    = 2 * time.Minute
	askPause = bound / 4
)

// pgBouncer puts a PgBouncer in transaction mode before the database, and returns the URL that leads through it.
func pgBouncer(t *testing.T, database string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if program = "/usr/sbin/pgbouncer"; !exists(program) { // not in an ordinary user's PATH
			t.Fatal("there is no pgbouncer: install it (apt install pgbouncer, brew install pgbouncer)")
		}
	}
	cfg, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	dir, address := place(t), testservice.FreeAddress(t)
	_, port, _ := strings.Cut(address, ":")
	users := writeFile(t, fmt.Sprintf("%q %q\n", cfg.User, cfg.Password), dir, "users.txt")
	settings := writeFile(t, fmt.Sprintf(`[databases]
* = host=%s port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s
pool_mode = transaction
default_pool_size = %d
max_client_conn = 200
`, cfg.Host, cfg.Port, port, users, serverConnections), dir, "pgbouncer.ini")

	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, settings)
	cmd.Dir = dir
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if os.Geteuid() == 0 { // it refuses to run as root
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody(t)}
		for _, path := range []string{users, settings} {
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed in the end
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("pgbouncer printed:\n%s", &said)
		}
	})

	pooled := changeURL(t, database, func(u *url.URL) { u.Host = address })
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		conn, err := pgx.Connect(t.Context(), pooled)
		if err == nil {
			if err := conn.Close(t.Context()); err != nil {
				t.Error(err)
			}
			return pooled
		}
		if time.Since(began) > testservice.Patience {
			t.Fatal(err)
		}
		select {
		case <-ended:
			t.Fatalf("pgbouncer ended: %s", &said)
		default:
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// nobody is a user other than root.
func nobody(t *testing.T) *syscall.Credential {
	t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	t.Fatal("there is neither a user postgres nor a user nobody")
	return nil
}

// Everything but migrations and notifications goes through a PgBouncer in transaction mode.
func TestServeBehindPgBouncer(t *testing.T) {
	t.Parallel()
	direct := testdb.URL(t)
	pooled := pgBouncer(t, direct)
	hook, reports := newHook(t)
	settings := configure(t, pooled).With(env{
		"LATCHKEY_DIRECT_DATABASE_URL": direct, "LATCHKEY_REVOCATION_BOUND": bound.String(), "LATCHKEY_CLEANUP_INTERVAL": "0",
		"LATCHKEY_SESSIONS_PER_SUBJECT": strconv.Itoa(manyClients),
		"LATCHKEY_KEY_ENCRYPTION_KEY":   base64.StdEncoding.EncodeToString(make([]byte, 32)), "LATCHKEY_DATA_ENCRYPTION_KEYSET": dataKeyset(t),
		"LATCHKEY_LEAK_WEBHOOK_URL": hook, "LATCHKEY_LEAK_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	})
	dir := t.TempDir()

	migratePastPgBouncer(t, dir, settings)
	if r := apiIn(t, dir, settings.With(env{"LATCHKEY_DIRECT_DATABASE_URL": "", "LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"}), "serve"); r.code != 1 ||
		!strings.HasSuffix(r.stderr, "; with a PgBouncer in transaction mode, LATCHKEY_DIRECT_DATABASE_URL must be set\n") {
		t.Errorf("serve without LATCHKEY_DIRECT_DATABASE_URL: %v", r)
	}
	s := start(t, dir, settings)
	// More clients than PgBouncer has connections.
	var all sync.WaitGroup
	for range manyClients {
		all.Go(func() {
			for range 8 {
				life(t, s)
			}
		})
		all.Go(func() { // of one user, who has a session for each client
			for range 3 {
				s.CreateSession(testKey, `{"subject":"one","data":{}}`)
			}
		})
	}
	all.Wait()
	if n := queryInt(t, direct, `SELECT count(*) FROM "sessionStore" WHERE "subject" = 'one' AND "revokedAt" IS NULL`); n != manyClients {
		t.Errorf("a user has %d sessions, %d may be", n, manyClients)
	}
	revokePastPgBouncer(t, s, func() { mustLine(t, settings, "sessions", "revoke", "--subject", "ada") })

	mustLine(t, settings, "keys", "rotate")

	// Jobs: a report of theft.
	pair := s.CreateSession(testKey, `{"subject":"grace","data":{}}`)
	stolen := pair.RefreshToken
	for range 2 {
		code, answer := s.Refresh(pair.RefreshToken)
		if code != http.StatusOK {
			t.Fatalf("refresh: %d %s", code, answer)
		}
		pair = testservice.ParsePair(t, answer)
		change(t, direct, `UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - interval '1 h', "settledAt" = "settledAt" - interval '1 h'`)
	}
	if code, answer := s.Refresh(stolen); code != http.StatusBadRequest {
		t.Fatalf("a stolen token: %d %s", code, answer)
	}
	select {
	case event := <-reports:
		if event != "session.leaked" {
			t.Errorf("the report is a %s", event)
		}
	case <-time.After(testservice.Patience):
		t.Error("no report came")
	}

	change(t, direct, `UPDATE "sessionStore" SET "revokedAt" = now() - interval '30 days' WHERE "revokedAt" IS NOT NULL`)
	if out := mustLine(t, settings, "cleanup"); !regexp.MustCompile(`^removed ([1-9]\d*) sessions \(0 expired, [1-9]\d* revoked\) and [1-9]\d* token pairs in [1-9]\d* batches, `).MatchString(out) {
		t.Errorf("cleanup: %q", out)
	}
	if out := mustLine(t, settings, "data", "reencrypt", "--unseal"); !regexp.MustCompile(`^unsealed [1-9]\d* rows in `).MatchString(out) {
		t.Errorf("reencrypt: %q", out)
	}
	if code := s.End(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, line := range complaints(s) {
		t.Errorf("logged: %s", line)
	}
}

// A shard's database is behind a PgBouncer too, and all new sessions are there.
func TestShardsBehindPgBouncer(t *testing.T) {
	t.Parallel()
	direct, shard := testdb.URL(t), testdb.URL(t)
	pooled := pgBouncer(t, direct)
	bouncer, err := url.Parse(pooled)
	if err != nil {
		t.Fatal(err)
	}
	settings := configure(t, pooled).With(env{
		"LATCHKEY_DIRECT_DATABASE_URL": direct, "LATCHKEY_REVOCATION_BOUND": bound.String(), "LATCHKEY_CLEANUP_INTERVAL": "0",
		"LATCHKEY_SHARDS":             "first:0 east=" + changeURL(t, shard, func(u *url.URL) { u.Host = bouncer.Host }) + " east.direct=" + shard,
		"LATCHKEY_KEY_ENCRYPTION_KEY": base64.StdEncoding.EncodeToString(make([]byte, 32)), "LATCHKEY_SESSIONS_PER_SUBJECT": strconv.Itoa(manyClients),
	})
	mustLine(t, settings, "migrate")
	s := start(t, t.TempDir(), settings)
	var all sync.WaitGroup
	for range manyClients {
		all.Go(func() { life(t, s) })
	}
	all.Wait()
	revokePastPgBouncer(t, s, func() { mustLine(t, settings, "sessions", "revoke", "--subject", "ada") })
	s.CreateSession(testKey, `{"subject":"grace","data":{}}`)
	for database, want := range map[string]int{direct: 0, shard: 1} {
		if n := queryInt(t, database, `SELECT count(*) FROM "sessionStore" WHERE "revokedAt" IS NULL`); n != want {
			t.Errorf("%d live sessions, want %d", n, want)
		}
	}
	if out := mustLine(t, settings, "shards", "list", "--json"); !strings.Contains(out, `"live_sessions": 1`) {
		t.Errorf("shards list: %s", out)
	}
	if code := s.End(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, line := range complaints(s) {
		t.Errorf("logged: %s", line)
	}
}

// migratePastPgBouncer reverts the newest migration and runs it again.
func migratePastPgBouncer(t *testing.T, dir string, settings env) {
	t.Helper()
	mustLine(t, settings, "migrate", "down", "--yes")
	if r := apiIn(t, dir, settings.With(env{"LATCHKEY_DIRECT_DATABASE_URL": ""}), "migrate"); r.code != 1 ||
		!strings.Contains(r.stderr, "migrations need a connection to PostgreSQL itself, not to a pooler") {
		t.Errorf("through PgBouncer: %v", r)
	}
	if out := mustLine(t, settings, "migrate"); !strings.HasPrefix(out, "migrated 000") {
		t.Errorf("past it: %q", out)
	}
}

// revokePastPgBouncer requires a revocation to be noticed sooner than by polling.
func revokePastPgBouncer(t *testing.T, s *service, revoke func()) {
	t.Helper()
	pair := s.CreateSession(testKey, `{"subject":"ada","data":{}}`)
	// This one does not ask the database whether the token's session is live.
	list := func() int {
		code, _ := s.Send(http.MethodGet, s.Public+"/v1/me/sessions", pair.AccessToken, nil)
		return code
	}
	if code := list(); code != http.StatusOK {
		t.Fatalf("a new access token: %d", code)
	}
	began := time.Now()
	revoke()
	for list() == http.StatusOK {
		if time.Since(began) > askPause/2 {
			t.Fatal("the access token is still accepted: there was no notification")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// life is one of a session.
func life(t *testing.T, s *service) {
	t.Helper()
	code, answer := s.Send(http.MethodPost, s.Internal+"/v1/sessions", testKey, `{"subject":"many","data":{"a":1}}`)
	if code != http.StatusCreated {
		t.Errorf("create a session: %d %s", code, answer)
		return
	}
	pair := testservice.ParsePair(t, answer)
	for range 3 {
		code, answer := s.Refresh(pair.RefreshToken)
		if code != http.StatusOK {
			t.Errorf("refresh: %d %s", code, answer)
			return
		}
		pair = testservice.ParsePair(t, answer)
		if code := s.Current(pair.AccessToken); code != http.StatusOK {
			t.Errorf("current: %d", code)
		}
	}
	if code, answer := s.Send(http.MethodDelete, s.Public+"/v1/me/sessions/current", pair.AccessToken, nil); code != http.StatusNoContent {
		t.Errorf("log out: %d %s", code, answer)
	}
}

// newHook is an operator's webhook. The types of the reports that come are on the channel.
func newHook(t *testing.T) (address string, events <-chan string) {
	t.Helper()
	types := make(chan string, 16)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var report struct {
			Type string `json:"type"`
		}
		if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
			t.Errorf("a report: %v", err)
		}
		types <- report.Type
	}))
	t.Cleanup(server.Close)
	return server.URL, types
}

func change(t *testing.T, database, sql string) {
	t.Helper()
	queryInt(t, database, `WITH done AS (`+sql+` RETURNING 1) SELECT count(*) FROM done`)
}

func queryInt(t *testing.T, database, sql string) int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var n int
	if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
