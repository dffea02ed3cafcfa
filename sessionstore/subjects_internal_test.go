package sessionstore

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// rowsOfNode is how many rows a part of a plan gave, or passed over.
var rowsOfNode = regexp.MustCompile(`"(?:Actual Rows|Rows Removed by [A-Za-z ]+)": (\d+)`)

// If nearly all sessions belong to one subject, PostgreSQL expects any subject's to be
// everywhere, and would find a stranger's few by reading all sessions in the order of
// their ids; or it expects none, and would sort all of that subject's. Neither must
// happen, with the generic plan or with one for this subject, whatever is known about
// the tables.
func TestSubjectsAreFoundByTheirIndex(t *testing.T) {
	t.Parallel()
	for name, analyze := range map[string]string{"analyzed": `ANALYZE "sessionStore", "sessionStoreToken"`, "never analyzed": `SELECT`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			readsItsSubject(t, analyze)
		})
	}
}

func readsItsSubject(t *testing.T, analyze string) {
	t.Helper()
	const most = searchReach // rows; the tables have many more
	conn, err := testdb.Pool(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for _, sql := range []string{
		`ALTER TABLE "sessionStore" SET (autovacuum_enabled = false)`, `ALTER TABLE "sessionStoreToken" SET (autovacuum_enabled = false)`,
		`INSERT INTO "sessionStore" ("id", "checksum", "data", "subject", "createdAt", "revokedAt", "revokedXid")
			SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, '', '{}', CASE WHEN n <= 40000 THEN 'spender' ELSE 'user-' || n % 3 END, now() + n * interval '1 ms',
				CASE WHEN n % 4 = 0 THEN now() END, CASE WHEN n % 4 = 0 THEN '7'::xid8 END
			FROM generate_series(1, 40020) n`,
		`INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
			SELECT "id", now(), now() + interval '1 day', '2100-01-01', now() FROM "sessionStore"`,
		analyze,
	} {
		exec(sql)
	}
	for name, query := range map[string]struct{ sql, args string }{
		"making room": {makeRoomQuery, `'%s', 210, 9, NULL, '', NULL`},
		"replacing":   {makeRoomQuery, `'%s', 210, 9, NULL, '', '` + uuid.NewString() + `'`},
		"making": {createLimitedQuery, fmt.Sprintf(`'%s', '', '{}', '%%s', NULL, NULL, NULL, NULL, '%s', 300, 3600, NULL, NULL, NULL, 'api', NULL, 'app', NULL, NULL, NULL, NULL, false, 10, 210`,
			uuid.NewString(), uuid.NewString())},
		"signing out": {invalidateSubjectQuery, fmt.Sprintf(`'%%s', '%s', '%[1]s', 200, 'backend', NULL`, uuid.Nil)},
		"list":        {listQuery, fmt.Sprintf(`%d, 51, NULL, NULL, NULL, '%s', '%%s'`, searchReach, uuid.Max)},
		"ended":       {findEndedOfSubjectQuery, fmt.Sprintf(`%d, 51, NULL, NULL, NULL, '%s', '%%s'`, searchReach, uuid.Max)},
	} {
		for _, mode := range []string{"force_generic_plan", "force_custom_plan"} {
			for _, subject := range []string{"user-1", "spender"} {
				exec(`SET plan_cache_mode = ` + mode)
				if _, err := conn.Conn().Prepare(t.Context(), name, query.sql); err != nil {
					t.Fatal(err)
				}
				exec(`BEGIN`) // its changes must not stay
				var raw []byte
				if err := conn.QueryRow(t.Context(), fmt.Sprintf(`EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE "%s" (%s)`, name, fmt.Sprintf(query.args, subject))).Scan(&raw); err != nil {
					t.Fatal(err)
				}
				exec(`ROLLBACK`)
				nodes := rowsOfNode.FindAllSubmatch(raw, -1)
				if len(nodes) == 0 {
					t.Fatalf("no rows:\n%s", raw)
				}
				for _, node := range nodes {
					if rows, err := strconv.Atoi(string(node[1])); err != nil || rows > most {
						t.Errorf("%s for %s with %s: %d rows are read at once, at most %d may be:\n%s", name, subject, mode, rows, most, raw)
						break
					}
				}
			}
		}
	}
}
