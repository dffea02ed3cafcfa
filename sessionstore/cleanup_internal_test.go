package sessionstore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// Each statement of clean-up finds its rows through an index, however large the
// tables are.
func TestCleanupPlans(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	for _, statement := range []string{
		`INSERT INTO "sessionStore" ("id", "checksum", "data", "subject", "revokedAt")
			SELECT gen_random_uuid(), '', '{}', 's' || i, CASE WHEN i % 1000 = 0 THEN now() - interval '15 days' END FROM generate_series(1, 20000) i`,
		`INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
			SELECT "id", now(), now(), current_date + 10 - (random() < 0.01)::int * 100, now() FROM "sessionStore"`,
	} {
		if _, err := pool.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	// An index that has nearly every row is of no use, also before there are statistics that say so.
	for kind, q := range cleanupQueries {
		for does, plan := range map[string]string{
			"find": explain(t, pool, q.find, 0, 10), "count": explain(t, pool, q.count, 0),
			"remove": explain(t, pool, q.remove, 0, []uuid.UUID{uuid.New()}, 1),
		} {
			if strings.Contains(plan, `Index Cond: ("refreshToken" IS NULL)`) {
				t.Errorf("%s %s:\n%s", does, kind, plan)
			}
		}
	}
	if _, err := pool.Exec(t.Context(), `ANALYZE`); err != nil {
		t.Fatal(err)
	}
	const days = 14 * 86400
	found := map[cleanup.Kind]string{
		cleanup.Expired:     "sessionStoreTokenExpiresOnIdx",
		cleanup.Revoked:     "sessionStoreRevokedAtIdx",
		cleanup.Aged:        "sessionStore_pkey",
		cleanup.Superfluous: "sessionStoreTokenExpiresOnIdx",
	}
	for kind, q := range cleanupQueries {
		uses(t, pool, found[kind], q.find, 60*days, 10)
		index := "sessionStore_pkey"
		if kind == cleanup.Superfluous {
			index = "sessionStoreToken_pkey"
		}
		uses(t, pool, index, q.remove, days, []uuid.UUID{uuid.New(), uuid.New()}, 1)
	}
	uses(t, pool, "sessionStoreTokenExpiresOnIdx", oldestEndedQuery)
	uses(t, pool, "sessionStoreRevokedAtIdx", oldestEndedQuery)
}

// uses fails the test unless the statement uses the index, and reads no table from its beginning to its end.
func uses(t *testing.T, pool *pgxpool.Pool, index, query string, args ...any) {
	t.Helper()
	if plan := explain(t, pool, query, args...); !strings.Contains(plan, index) || strings.Contains(plan, "Seq Scan") {
		t.Errorf("%s is not used:\n%s\n%s", index, query, plan)
	}
}

func explain(t *testing.T, pool *pgxpool.Pool, query string, args ...any) string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `EXPLAIN `+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&plan, line)
	}
	return plan.String()
}
