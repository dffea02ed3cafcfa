package sessionstore

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Every statement finds its rows, without statistics too.
func TestPlansWithoutStatistics(t *testing.T) {
	t.Parallel()
	queries := everyStatement()
	delete(queries, "countLive")                                        // reads up to a bound
	delete(queries, "ping")                                             // reads nothing, of a table without a row
	testdb.Plans(t, "192.0.2.1", queries, "count ", "find ", "remove ", // of cleanup, which sets it
		"findLive", "findEnded", "findAny", "createdByHour", "revokeSignedOut") // of operators: the service's pools set it
}

// Many confirmations at once are looked up one by one, with statistics and a plan for just
// these too: PostgreSQL would read the table for them.
func TestConfirmationsAreFoundByTheirKeys(t *testing.T) {
	t.Parallel()
	conn, err := testdb.Pool(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, sql := range []string{
		`INSERT INTO "sessionStore" ("checksum", "data") SELECT '', '{}' FROM generate_series(1, 20000)`,
		`INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt") SELECT "id", now(), now(), current_date, now() FROM "sessionStore"`,
		`ANALYZE "sessionStoreToken"`,
		`SET plan_cache_mode = force_custom_plan`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Conn().Prepare(t.Context(), "confirm", confirmQuery); err != nil {
		t.Fatal(err)
	}
	many := func(text string) string {
		return "'{" + strings.Repeat(text+",", confirmBatch-1) + text + "}'"
	}
	rows, err := conn.Query(t.Context(), fmt.Sprintf(`EXPLAIN EXECUTE confirm(%s, %s, %s)`, many(uuid.NewString()), many("1"), many("2026-01-01Z")))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if plan := strings.Join(lines, "\n"); strings.Contains(plan, `Seq Scan on "sessionStoreToken"`) {
		t.Errorf("it reads the table:\n%s", plan)
	}
}

// A page of a list costs the same with very many sessions, live, ended or merely expired,
// at the beginning of the list and deep in it, and however few of them match.
func TestListReadsItsPage(t *testing.T) {
	t.Parallel()
	const most = 10_000 // of each of four kinds: twenty times what a list may read
	conn, err := testdb.Pool(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, sql := range []string{
		`INSERT INTO "sessionStore" ("checksum", "data", "subject", "revokedAt", "revokedXid")
			SELECT '', '{}', subject, CASE WHEN subject LIKE 'ended%' THEN '2026-01-01Z'::timestamptz - CASE subject WHEN 'ended' THEN i ELSE 0 END * interval '1 s' END, '7'
			FROM generate_series(1, ` + fmt.Sprint(most) + `) i, (VALUES ('live'), ('expired'), ('ended'), ('ended at once')) s(subject)`,
		`INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
			SELECT "id", now(), now() + CASE "subject" WHEN 'expired' THEN interval '-1 minute' ELSE '1 day' END, current_date, now() FROM "sessionStore"`,
		`SET plan_cache_mode = force_generic_plan`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	var middle uuid.UUID
	if err := conn.QueryRow(t.Context(), `SELECT "id" FROM "sessionStore" ORDER BY "id" OFFSET $1 LIMIT 1`, 2*most).Scan((*[16]byte)(&middle)); err != nil {
		t.Fatal(err)
	}
	for name, query := range map[string]string{"live": listQuery, "everyone's": findLiveQuery, "ended": findEndedOfSubjectQuery, "everyone's ended": findEndedQuery, "both": findAnyOfSubjectQuery, "everyone's both": findAnyQuery} {
		if _, err := conn.Conn().Prepare(t.Context(), name, query); err != nil {
			t.Fatal(err)
		}
	}
	const page = DefaultListLimit + 1
	for _, test := range []struct {
		list   string
		before uuid.UUID
		more   string // what follows the cursor
		label  string
		most   int // of sessions that are read
	}{
		{"live", uuid.Max, `, 'live'`, `NULL`, page},
		{"live", middle, `, 'live'`, `NULL`, page},
		{"live", uuid.Max, `, 'live'`, `'nobody''s'`, searchReach},
		{"live", uuid.Max, `, 'expired'`, `NULL`, searchReach},
		{"live", middle, `, 'expired'`, `NULL`, searchReach},
		{"everyone's", uuid.Max, ``, `'nobody''s'`, searchReach},
		{"everyone's", middle, ``, `'nobody''s'`, searchReach},
		{"ended", uuid.Max, `, 'ended'`, `NULL`, page},
		{"ended", middle, `, 'ended at once'`, `'nobody''s'`, searchReach},
		{"ended", middle, `, 'expired'`, `NULL`, page},
		{"ended", uuid.Max, `, 'live'`, `NULL`, searchReach},
		{"both", uuid.Max, `, 'ended'`, `NULL`, page},
		{"both", middle, `, 'live'`, `'nobody''s'`, searchReach},
		{"everyone's both", middle, ``, `'nobody''s'`, searchReach},
		{"everyone's ended", uuid.Max, `, 'infinity'`, `NULL`, page},
		{"everyone's ended", middle, `, '2026-01-01Z'`, `'nobody''s'`, searchReach},
		{"everyone's ended", uuid.Max, `, '2025-12-31 20:00Z'`, `NULL`, page},
	} {
		got, plan := blocksOf(t, conn, fmt.Sprintf(`"%s"(%d, %d, NULL, NULL, %s, '%s'%s)`, test.list, searchReach, page, test.label, test.before, test.more))
		// A session is some blocks of two tables and their indexes.
		if got > 8*test.most {
			t.Errorf("a page of the list %+v reads %d blocks:\n%s", test, got, plan)
		}
	}
}

// blocksOf executes a prepared statement, and returns how many blocks it read.
func blocksOf(t *testing.T, conn *pgxpool.Conn, statement string) (blocks int, plan []byte) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE `+statement).Scan(&plan); err != nil {
		t.Fatal(err)
	}
	var explained []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		} `json:"Plan"`
	}
	if err := json.Unmarshal(plan, &explained); err != nil {
		t.Fatal(err)
	}
	return explained[0].Plan.Hit + explained[0].Plan.Read, plan
}

// However many sessions were revoked, or ended when everyone was signed out, a look for a live one reads none of them.
func TestHasLiveReadsNoEndedSessions(t *testing.T) {
	t.Parallel()
	const most = 20_000 // of each kind
	pool := testdb.Pool(t)
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO "sessionStore" ("checksum", "data", "subject", "createdAt", "revokedAt", "revokedXid")
		SELECT '', '{}', subject, now() - interval '3 days', CASE subject WHEN 'revoked' THEN now() END, '7' FROM generate_series(1, $1::int) i, (VALUES ('revoked'), ('signed out')) s(subject)`, most)
	exec(`INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt") SELECT "id", now(), now() + interval '1 day', current_date + 1, now() FROM "sessionStore"`)
	exec(`INSERT INTO "sessionStoreEra" ("era", "at", "reason") VALUES (1, now(), 'operator')`)
	exec(`SET plan_cache_mode = force_generic_plan`)
	if _, err := conn.Conn().Prepare(t.Context(), "live", hasLiveQuery); err != nil {
		t.Fatal(err)
	}
	if got, plan := blocksOf(t, conn, fmt.Sprintf(`live('infinity', '%s', %d)`, uuid.Max, livePage)); got > 50 {
		t.Errorf("it reads %d blocks:\n%s", got, plan)
	}
	store, err := New(pool, testkeys.Ring(t), Config{Tokens: tokens.Config{Issuer: "https://issuer.test", Audience: "api"}})
	if err != nil {
		t.Fatal(err)
	}
	want := func(want bool) {
		t.Helper()
		if has, err := store.HasLive(t.Context()); err != nil || has != want {
			t.Errorf("%v, %v; want %v", has, err, want)
		}
	}
	want(false)
	// The oldest of many that have expired, all created at once.
	exec(`INSERT INTO "sessionStore" ("id", "checksum", "data", "createdAt") SELECT CASE i WHEN 1 THEN '00000000-0000-7000-8000-000000000001' ELSE gen_random_uuid() END, '', '{}', now() FROM generate_series(1, $1::int) i`, 2*livePage)
	exec(`INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt", "era") SELECT "id", now(), now() - interval '1 s', current_date, now(), 1 FROM "sessionStore" WHERE "subject" IS NULL`)
	want(false)
	exec(`UPDATE "sessionStoreToken" SET "expiresAt" = now() + interval '1 day' WHERE "session" = '00000000-0000-7000-8000-000000000001'`)
	want(true)
	exec(`UPDATE "sessionStore" SET "createdAt" = now() - interval '47 hours' WHERE "id" = '00000000-0000-7000-8000-000000000001'`) // by a clock that was set back
	want(true)
}
