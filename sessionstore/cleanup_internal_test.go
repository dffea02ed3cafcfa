package sessionstore

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// Each statement of cleanup finds its rows through an index, however large the
// tables are, and however much is due.
func TestCleanupPlans(t *testing.T) {
	t.Parallel()
	for _, oneOf := range []int{1000, 3} {
		t.Run(fmt.Sprintf("one of %d is due", oneOf), func(t *testing.T) {
			t.Parallel()
			cleanupPlans(t, oneOf)
		})
	}
}

func cleanupPlans(t *testing.T, oneOf int) {
	t.Helper()
	pool := testdb.Pool(t)
	for _, statement := range []string{
		`INSERT INTO "sessionStore" ("id", "checksum", "data", "subject", "revokedAt")
			SELECT lpad(to_hex(i), 32, '0')::uuid, '', '{}', 's' || i, CASE WHEN i % ONE_OF = 0 THEN now() - interval '15 days' END FROM generate_series(1, 20000) i`,
		`INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
			SELECT "id", now(), now(), current_date + 10 - CASE WHEN "revokedAt" IS NULL THEN 0 ELSE 100 END, now() FROM "sessionStore" ORDER BY "id"`,
	} {
		if _, err := pool.Exec(t.Context(), strings.ReplaceAll(statement, "ONE_OF", strconv.Itoa(oneOf))); err != nil {
			t.Fatal(err)
		}
	}
	const days = 14 * 86400
	found := map[cleanup.Kind]string{
		cleanup.Expired:     "sessionStoreTokenExpiresOnIdx",
		cleanup.Revoked:     "sessionStoreEndedIdx",
		cleanup.Aged:        "sessionStoreCreatedAtIdx",
		cleanup.Superfluous: "sessionStoreTokenExpiresOnIdx",
	}
	for range 2 { // before PostgreSQL has any statistics, and then with them
		for kind, q := range cleanupQueries {
			uses(t, pool, found[kind], q.find, days, 2000)
			index := "sessionStore_pkey"
			if kind == cleanup.Superfluous {
				index = "sessionStoreToken_pkey"
			}
			uses(t, pool, index, q.remove, days, []uuid.UUID{uuid.New(), uuid.New()}, 1)
			if plan := explain(t, pool, q.count, days); strings.Contains(plan, `Index Cond: ("refreshToken" IS NULL)`) {
				t.Errorf("an index that has nearly every row:\n%s", plan)
			}
		}
		if _, err := pool.Exec(t.Context(), `ANALYZE`); err != nil {
			t.Fatal(err)
		}
	}
	uses(t, pool, "sessionStoreTokenExpiresOnIdx", oldestEndedQuery)
	uses(t, pool, "sessionStoreEndedIdx", oldestEndedQuery)
}

var unwanted = regexp.MustCompile(`Seq Scan|Hash Cond|Gather|Sort`)

// uses fails the test unless the statement uses the index, reads no table from its beginning to its end, and does so alone.
func uses(t *testing.T, pool *pgxpool.Pool, index, query string, args ...any) {
	t.Helper()
	if plan := explain(t, pool, query, args...); !strings.Contains(plan, index) || unwanted.MatchString(plan) {
		t.Errorf("%s is not used:\n%s\n%s", index, query, plan)
	}
}

// explain returns the plan of a statement, under the settings that it has.
func explain(t *testing.T, pool *pgxpool.Pool, query string, args ...any) string {
	t.Helper()
	var plan []string
	batch := &pgx.Batch{}
	if !strings.Contains(query, "count(*) FROM \"sessionStore") && query != oldestEndedQuery {
		batch.Queue(cleanupSettingsQuery, "1000", false)
	}
	batch.Queue(`EXPLAIN `+query, args...).Query(func(rows pgx.Rows) (err error) {
		plan, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err := pool.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}
