package console_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/console"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// stored is how many sessions the pages are read from. With many more, such as 1,000,000, -v lists
// what each page costs.
var stored = flag.Int("sessions", 20_000, "how many sessions TestPagesReadTheirPart stores")

// reach is how many sessions a list reads at most for one page.
const reach = 500

// statement is a statement that a page sent.
type statement struct {
	sql  string
	args []any
}

// statements notes what is sent to the database.
type statements struct {
	mu   sync.Mutex
	sent []statement
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, statement{data.SQL, data.Args})
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) take() []statement {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}

// fill stores sessions: one in ten of them is one subject's, one in ten has ended, and of those every fifth by a
// theft.
func fill(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	for _, sql := range []string{
		`INSERT INTO "sessionStore" ("checksum", "data", "subject", "clientLabel", "clientUserAgent", "clientIp", "createdAt", "revokedAt", "revokedXid", "endReason", "endedBy", "theft")
			SELECT '', '{}', CASE WHEN i % 10 = 0 THEN 'crowd' ELSE 'user-' || i END, CASE WHEN i % 10 = 0 THEN 'kiosk' ELSE 'phone' END, '` + firefox + `',
				CASE WHEN i % 10 = 0 THEN '198.51.100.7' ELSE '10.0.0.0' END::inet + CASE WHEN i % 10 = 0 THEN 0 ELSE i END, now() - i * interval '1 s',
				CASE WHEN i % 20 IN (0, 1) THEN now() - i * interval '0.5 s' END, CASE WHEN i % 20 IN (0, 1) THEN '7'::xid8 END,
				CASE WHEN i % 100 = 0 THEN 'theft' WHEN i % 20 IN (0, 1) THEN 'operator' END,
				CASE WHEN i % 100 = 0 THEN 'stale' WHEN i % 20 IN (0, 1) THEN 'grace' END,
				CASE WHEN i % 100 = 0 THEN '{"presented_by":{"ip":"198.51.100.23","user_agent":"curl/8.5"}}'::jsonb END
			FROM generate_series(1, ` + fmt.Sprint(*stored) + `) i`,
		`INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
			SELECT "id", "createdAt", now() + interval '1 day', (now() + interval '1 day')::date, now() FROM "sessionStore"`,
		`ANALYZE "sessionStore", "sessionStoreToken"`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

// cost is what statements read, by PostgreSQL's own account.
type cost struct {
	Blocks int
	Time   time.Duration
}

// costOf runs the statements again, each explained, and keeps nothing of what they change.
func costOf(t *testing.T, pool *pgxpool.Pool, sent []statement) (sum cost, plans []string) {
	t.Helper()
	for _, s := range sent {
		if verb, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(s.sql)), " "); !strings.HasPrefix(verb, "select") && !strings.HasPrefix(verb, "with") {
			continue // it begins or ends a transaction, or asks for a plan
		}
		tx, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var raw []byte
		if err := tx.QueryRow(t.Context(), `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) `+s.sql, s.args...).Scan(&raw); err != nil {
			t.Fatalf("%s: %v", s.sql, err)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		var explained []struct {
			Plan struct {
				Hit  int `json:"Shared Hit Blocks"`
				Read int `json:"Shared Read Blocks"`
			} `json:"Plan"`
			Planning  float64 `json:"Planning Time"`
			Execution float64 `json:"Execution Time"`
		}
		if err := json.Unmarshal(raw, &explained); err != nil {
			t.Fatal(err)
		}
		sum.Blocks += explained[0].Plan.Hit + explained[0].Plan.Read
		sum.Time += time.Duration((explained[0].Planning + explained[0].Execution) * float64(time.Millisecond))
		plans = append(plans, s.sql+"\n"+string(raw))
	}
	return sum, plans
}

// A page costs the same however many sessions there are, and however many of them are one subject's.
func TestPagesReadTheirPart(t *testing.T) {
	t.Parallel()
	cfg, err := pgxpool.ParseConfig(testdb.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	traced := &statements{}
	cfg.ConnConfig.Tracer = traced
	cfg.ConnConfig.RuntimeParams["jit"] = "off" // as the service has it
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	fill(t, pool)
	k := setupOn(t, pool, console.Service{})
	if *stored <= 50_000 {
		k.page.SetCountedAtOnce(0) // as with more
	}
	id := func(where string) (id uuid.UUID) {
		if err := pool.QueryRow(t.Context(), `SELECT "id" FROM "sessionStore" WHERE `+where+` ORDER BY "id" OFFSET $1 LIMIT 1`, *stored/1000).Scan((*[16]byte)(&id)); err != nil {
			t.Fatal(err)
		}
		return id
	}
	live, ended, theft := id(`"subject" LIKE 'user-%' AND "revokedAt" IS NULL`), id(`"endReason" = 'operator'`), id(`"endReason" = 'theft'`)
	b := k.signedIn(t, dataKey)
	const page = 51 // sessions
	for _, test := range []struct {
		path string
		most int // of sessions that are read
	}{
		{"/console/", 0},
		{"/console/?q=user-1", reach},
		{"/console/?q=crowd", reach},
		{"/console/?q=nobody", reach},
		{"/console/?q=" + live.String(), reach},
		{"/console/?q=10.0.0.9", reach},
		{"/console/?q=" + url.QueryEscape("198.51.100.0/24"), reach},
		{"/console/?q=" + url.QueryEscape("192.0.2.0/24"), reach},
		{"/console/?q=kiosk", reach},
		{"/console/subject?id=crowd", page},
		{"/console/subject?id=user-7", page},
		{"/console/subject?id=nobody", page},
		{"/console/sessions/" + live.String(), 3},
		{"/console/sessions/" + ended.String(), 3},
		{"/console/sessions/" + theft.String(), 3},
		{"/console/thefts", page},
		{"/console/thefts/" + theft.String(), 1},
		{"/console/now", page},
	} {
		traced.take()
		b.get(test.path)
		b.want(200)
		got, plans := costOf(t, pool, traced.take())
		t.Logf("%-60s %2d statements %5d blocks %8.2f ms", test.path, len(plans), got.Blocks, float64(got.Time.Microseconds())/1000)
		// A session is some blocks of two tables and their indexes, and so is the operator's own.
		if got.Blocks > 8*(test.most+4) {
			t.Errorf("%s reads %d blocks:\n%s", test.path, got.Blocks, strings.Join(plans, "\n"))
		}
	}
}
