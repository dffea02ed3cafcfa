package sessionstore

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// The rows that a creation reads depend on the sessions of its subject, not on the table:
// with the plan that serves any subject, among thousands of others' sessions.
func TestLimitReadsOnlyItsSubject(t *testing.T) {
	t.Parallel()
	const most = 250 // pages; the tables have many more
	conn, err := testdb.Pool(t).Acquire(t.Context())
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
	exec(`INSERT INTO "sessionStore" ("checksum", "data", "subject") SELECT '', '{}', 'user-' || n % 2000 FROM generate_series(1, 20000) n`)
	exec(`INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
		SELECT "id", now(), now() + interval '1 day', '2100-01-01', now() FROM "sessionStore"`)
	exec(`ANALYZE "sessionStore", "sessionStoreToken"`)
	exec(`SET plan_cache_mode = force_generic_plan`)

	for name, query := range map[string]struct{ sql, args string }{
		"ending":    {makeRoomQuery, `'user-7', 1005, 4, NULL, '', NULL`},
		"replacing": {makeRoomQuery, `'user-7', 1005, 4, NULL, '', '` + uuid.NewString() + `'`},
		"refusing":  {makeRoomQuery, `'user-7', 1005, NULL, NULL, '', NULL`},
		"making": {createLimitedQuery, fmt.Sprintf(`'%s', '', '{}', 'user-7', NULL, NULL, NULL, NULL, '%s', 300, 3600, NULL, NULL, NULL, 'api', NULL, 'app', NULL, NULL, NULL, NULL, false, 15, 1015`,
			uuid.NewString(), uuid.NewString())},
	} {
		exec(`PREPARE ` + name + ` AS ` + query.sql)
		rows, err := conn.Query(t.Context(), `EXPLAIN (ANALYZE, BUFFERS) EXECUTE `+name+` (`+query.args+`)`)
		if err != nil {
			t.Fatal(err)
		}
		var plan strings.Builder
		for rows.Next() {
			plan.WriteString(string(rows.RawValues()[0]) + "\n")
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		hit := regexp.MustCompile(`Buffers: shared hit=(\d+)`).FindStringSubmatch(plan.String()) // the first line is of the whole statement
		if hit == nil {
			t.Fatalf("no buffers:\n%s", &plan)
		}
		pages, err := strconv.Atoi(hit[1])
		if err != nil || pages > most || strings.Contains(butOneRow(plan.String()), "Seq Scan") {
			t.Errorf("%s: %d pages are read, at most %d may be:\n%s", name, pages, most, &plan)
		}
		t.Logf("%s: %d pages", name, pages)
	}
}

// butOneRow leaves out of a plan that it reads a table which has one row at most.
func butOneRow(plan string) string {
	return strings.NewReplacer(`Seq Scan on "sessionStoreEventsBegan"`, "", `Seq Scan on "sessionStoreClock"`, "").Replace(plan)
}
