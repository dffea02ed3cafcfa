package sessionstore

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// Where nearly all sessions are of one subject, PostgreSQL expects any subject's to be
// everywhere, and would find a stranger's few by reading all sessions in the order of
// their ids. That must not be, with the plan that serves any subject.
func TestSubjectsAreFoundByTheirIndex(t *testing.T) {
	t.Parallel()
	const most = 250 // pages; the tables have some thousands
	conn, err := testdb.Pool(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, sql := range []string{
		`INSERT INTO "sessionStore" ("id", "checksum", "data", "subject", "createdAt", "revokedAt", "revokedXid")
			SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, '', '{}', CASE WHEN n <= 40000 THEN 'spender' ELSE 'user-' || n % 3 END, now() + n * interval '1 ms',
				CASE WHEN n % 4 = 0 THEN now() END, CASE WHEN n % 4 = 0 THEN '7'::xid8 END
			FROM generate_series(1, 40020) n`,
		`INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
			SELECT "id", now(), now() + interval '1 day', '2100-01-01', now() FROM "sessionStore"`,
		`ANALYZE "sessionStore", "sessionStoreToken"`,
		`SET plan_cache_mode = force_generic_plan`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for name, query := range map[string]struct{ sql, args string }{
		"making room": {makeRoomQuery, `'user-1', 210, 9, NULL, '', NULL`},
		"making": {createLimitedQuery, fmt.Sprintf(`'%s', '', '{}', 'user-1', NULL, NULL, NULL, NULL, '%s', 300, 3600, NULL, NULL, NULL, 'api', NULL, 'app', NULL, NULL, NULL, NULL, false, 10, 210`,
			uuid.NewString(), uuid.NewString())},
		"signing out": {invalidateSubjectQuery, fmt.Sprintf(`'user-2', '%s', '%[1]s', 200, 'backend', NULL`, uuid.Nil)},
		"list":        {listQuery, fmt.Sprintf(`%d, 51, NULL, NULL, NULL, '%s', 'user-1'`, listReach, uuid.Max)},
		"ended":       {findEndedOfSubjectQuery, fmt.Sprintf(`%d, 51, NULL, NULL, NULL, '%s', 'user-1'`, listReach, uuid.Max)},
	} {
		if _, err := conn.Conn().Prepare(t.Context(), name, query.sql); err != nil {
			t.Fatal(err)
		}
		var raw []byte
		if err := conn.QueryRow(t.Context(), fmt.Sprintf(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE "%s" (%s)`, name, query.args)).Scan(&raw); err != nil {
			t.Fatal(err)
		}
		var explained []struct {
			Plan struct {
				Hit  int `json:"Shared Hit Blocks"`
				Read int `json:"Shared Read Blocks"`
			} `json:"Plan"`
		}
		if err := json.Unmarshal(raw, &explained); err != nil {
			t.Fatal(err)
		}
		if pages := explained[0].Plan.Hit + explained[0].Plan.Read; pages > most {
			t.Errorf("%s: %d pages are read, at most %d may be:\n%s", name, pages, most, raw)
		}
	}
}
