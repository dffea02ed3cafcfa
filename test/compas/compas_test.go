package compas_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/migrations"
)

const signingKey = "the signing key of a Compas application"

// compas is a running Node with @compas/store, on its own database.
type compas struct {
	t    *testing.T
	url  string
	pool *pgxpool.Pool

	process *os.Process
	killed  bool

	mu      sync.Mutex
	input   io.WriteCloser
	waiting map[int]chan answer
	calls   int
	ended   chan struct{}
}

type answer struct {
	ID    int             `json:"id"`
	Value json.RawMessage `json:"value"`
	Error string          `json:"error"` // its key
}

// pair is what Compas gives a client.
type pair struct {
	Access  string `json:"accessToken"`
	Refresh string `json:"refreshToken"`
}

// session is a row as Compas hands it to the application.
type session struct {
	ID       string          `json:"id"`
	Checksum string          `json:"checksum"`
	Data     json.RawMessage `json:"data"`
}

// startCompas makes the tables as an application of Compas has them, and starts it.
func startCompas(t *testing.T) *compas {
	t.Helper()
	c := &compas{t: t, url: testdb.URL(t), waiting: map[int]chan answer{}, ended: make(chan struct{})}
	pool, err := pgxpool.New(t.Context(), c.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	c.pool = pool
	schema, err := os.ReadFile(filepath.Join("npm", "schema.sql"))
	if err != nil {
		t.Fatal(err)
	}
	c.exec(`DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA ` + migrations.RiverSchema + ` CASCADE;` + string(schema))

	conn := pool.Config().ConnConfig
	connection, err := json.Marshal(map[string]any{
		"host": conn.Host, "port": conn.Port, "user": conn.User, "password": conn.Password, "database": conn.Database, "ssl": false,
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "node", "driver.mjs")
	cmd.Dir, cmd.Stderr = driver, os.Stderr
	cmd.Env = append(os.Environ(), "CONNECTION="+string(connection), "SIGNING_KEY="+signingKey, "APP_NAME=compas", "NODE_ENV=development")
	if c.input, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.process = cmd.Process
	go c.read(output)
	t.Cleanup(func() {
		c.stop()
		if err := cmd.Wait(); err != nil && !c.killed {
			t.Errorf("node: %v", err)
		}
	})
	return c
}

func (c *compas) read(output io.Reader) {
	defer close(c.ended)
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		var a answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			c.t.Errorf("driver.mjs printed %q", lines.Text())
			return
		}
		c.mu.Lock()
		waiting := c.waiting[a.ID]
		delete(c.waiting, a.ID)
		c.mu.Unlock()
		waiting <- a
	}
}

// stop lets it finish its answers, and end.
func (c *compas) stop() {
	c.mu.Lock()
	_ = c.input.Close() // a second time is an error
	c.mu.Unlock()
	<-c.ended
}

// kill ends it in the middle of whatever it does.
func (c *compas) kill() {
	c.t.Helper()
	c.killed = true
	if err := c.process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	<-c.ended
}

// ended is the key of a call that was not answered.
const ended = "ended"

// call returns the error's key, or else decodes the value.
func (c *compas) call(name string, argument, value any) string {
	c.t.Helper()
	done := make(chan answer, 1)
	c.mu.Lock()
	c.calls++
	c.waiting[c.calls] = done
	line, err := json.Marshal(map[string]any{"id": c.calls, "call": name, "argument": argument})
	if err == nil {
		_, err = c.input.Write(append(line, '\n'))
	}
	c.mu.Unlock()
	if err != nil {
		return ended
	}
	var a answer
	select {
	case a = <-done:
	case <-c.ended:
		select {
		case a = <-done:
		default:
			return ended
		}
	}
	if a.Error == "" && value != nil {
		if err := json.Unmarshal(a.Value, value); err != nil {
			c.t.Errorf("%s: %s: %v", name, a.Value, err)
			return err.Error()
		}
	}
	return a.Error
}

// must is call for one that has to succeed.
func (c *compas) must(name string, argument, value any) {
	c.t.Helper()
	if key := c.call(name, argument, value); key != "" {
		c.t.Fatalf("%s: %s", name, key)
	}
}

func (c *compas) signIn(data any) (p pair) {
	c.t.Helper()
	c.must("create", data, &p)
	return p
}

func (c *compas) refresh(p pair) (next pair) {
	c.t.Helper()
	c.must("refresh", p.Refresh, &next)
	return next
}

func (c *compas) session(p pair) session {
	c.t.Helper()
	var found struct {
		Session session `json:"session"`
	}
	c.must("get", p.Access, &found)
	return found.Session
}

func (c *compas) exec(sql string, args ...any) {
	c.t.Helper()
	if _, err := c.pool.Exec(c.t.Context(), sql, args...); err != nil {
		c.t.Fatal(err)
	}
}

func (c *compas) count(sql string, args ...any) (n int) {
	c.t.Helper()
	if err := c.pool.QueryRow(c.t.Context(), sql, args...).Scan(&n); err != nil {
		c.t.Fatal(err)
	}
	return n
}

// pass makes what has happened happen earlier: the clock that decides is the database's.
func (c *compas) pass(seconds int) {
	c.t.Helper()
	c.exec(`UPDATE "sessionStore" SET "revokedAt" = "revokedAt" - $1 * interval '1 s'`, seconds)
	c.exec(`UPDATE "sessionStoreToken" SET "revokedAt" = "revokedAt" - $1 * interval '1 s', "createdAt" = "createdAt" - $1 * interval '1 s',
		"expiresAt" = "expiresAt" - $1 * interval '1 s'`, seconds)
	if c.count(`SELECT count(*) FROM information_schema.columns WHERE table_name = 'sessionStoreToken' AND column_name = 'issuedAt'`) > 0 {
		c.exec(`UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - $1 * interval '1 s', "settledAt" = "settledAt" - $1 * interval '1 s',
			"confirmedAt" = "confirmedAt" - $1 * interval '1 s', "accessExpiresAt" = "accessExpiresAt" - $1 * interval '1 s',
			"expiresOn" = CASE WHEN "expiresOn" IS NOT NULL THEN (LEAST("expiresAt", "revokedAt") AT TIME ZONE 'UTC')::date END`, seconds)
	}
}
