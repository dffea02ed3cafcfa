package migrations_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

var (
	storageSessions = flag.Int("storage", 0, "with how many sessions storage settings are compared; 0: they are not")
	storageDays     = flag.Int("storage-days", 16, "for how many days")
)

// storage are the settings of the two tables that are compared.
type storage struct{ tokenFill, sessionFill, scalePercent int }

func (s storage) String() string {
	return fmt.Sprintf("%d | %d | %.2f", s.tokenFill, s.sessionFill, float64(s.scalePercent)/100)
}

// TestStorageSettings prints what docs/operations.md shows, and what 00008 was chosen by:
//
//	go test ./migrations -run StorageSettings -storage 20000 -v
func TestStorageSettings(t *testing.T) {
	t.Parallel()
	if *storageSessions == 0 {
		t.Skip("nobody asks with -storage")
	}
	var table strings.Builder
	for _, s := range []storage{
		{100, 100, 20},
		{85, 85, 20},
		{70, 85, 20},
		{50, 85, 20}, // how much room an update finds
		{50, 100, 20},
		{50, 85, 10},
		{50, 85, 5},
		{50, 85, 2}, // when autovacuum comes
	} {
		w := newWear(t, *storageSessions)
		w.exec(fmt.Sprintf(`ALTER TABLE "sessionStoreToken" SET (fillfactor = %d, autovacuum_vacuum_scale_factor = %.2f)`, s.tokenFill, float64(s.scalePercent)/100))
		w.exec(fmt.Sprintf(`ALTER TABLE "sessionStore" SET (fillfactor = %d, autovacuum_vacuum_scale_factor = %.2f)`, s.sessionFill, float64(s.scalePercent)/100))
		began := time.Now()
		half := w.days(*storageDays / 2)
		end := w.days(*storageDays - *storageDays/2)
		row := fmt.Sprintf("| %v | %.1f | %.1f | %.1f | %.0f %% | %.0f %% | %d |", s, mebibytes(w.fresh), mebibytes(half), mebibytes(end),
			w.hot("sessionStoreToken"), w.hot("sessionStore"), w.vacuums)
		t.Logf("%s %v", row, time.Since(began).Round(time.Second))
		fmt.Fprintln(&table, row)
	}
	t.Logf("\n| token rows: fillfactor | session rows: fillfactor | vacuum scale factor | MiB new | MiB, half-time | MiB, end | heap-only, token | heap-only, session | vacuums |\n"+
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n%s", &table)
}

// Tables in which as many sessions are created as are cleaned up do not grow.
func TestStorageIsFlat(t *testing.T) {
	t.Parallel()
	w := newWear(t, 400)
	settled := w.days(14) // none of the first sessions is left
	end := w.days(8)
	t.Logf("%d bytes at first, %d and %d later", w.fresh, settled, end)
	if float64(end) > 1.08*float64(settled) {
		t.Errorf("after 14 days the tables have %d bytes, after 22 they have %d", settled, end)
	}
	if hot := w.hot("sessionStoreToken"); hot < 55 { // the first refresh of a day changes an indexed column; two of three do not
		t.Errorf("%.0f %% of the refreshes were heap-only", hot)
	}
}

// wear is a database in which sessions are created, refreshed, changed and cleaned up, day by day.
type wear struct {
	t        *testing.T
	pool     *pgxpool.Pool
	sessions int
	day      int
	fresh    int64
	vacuums  int
}

// newWear makes the sessions. The test does autovacuum's work itself, by autovacuum's own rule, and not by the clock.
func newWear(t *testing.T, sessions int) *wear {
	t.Helper()
	w := &wear{t: t, pool: testdb.Pool(t), sessions: sessions}
	w.exec(`ALTER TABLE "sessionStore" SET (autovacuum_enabled = false)`)
	w.exec(`ALTER TABLE "sessionStoreToken" SET (autovacuum_enabled = false)`)
	return w
}

func (w *wear) exec(sql string) {
	w.t.Helper()
	if _, err := w.pool.Exec(w.t.Context(), sql); err != nil {
		w.t.Fatal(err)
	}
}

// days lets days pass, and returns how large the tables and their indexes are then.
func (w *wear) days(n int) int64 {
	w.t.Helper()
	const parts = 10
	if w.day == 0 {
		w.create(w.sessions)
		w.exec(`ANALYZE`)
		w.fresh = w.size()
	}
	for range n {
		w.day++
		w.create(w.sessions / 10)
		for range parts {
			// Each session is refreshed three times a day, in a separate transaction, and its data changes every other day.
			w.exec(fmt.Sprintf(`DO $$
				DECLARE "one" record;
				BEGIN
					FOR "one" IN SELECT "id", "session", random() < 0.17 AS "changes" FROM "sessionStoreToken" WHERE random() < 0.3 ORDER BY random() LOOP
						UPDATE "sessionStoreToken" SET "generation" = "generation" + 1, "accessGeneration" = "accessGeneration" + 1,
							"createdAt" = now(), "issuedAt" = now(), "accessExpiresAt" = now(), "expiresAt" = now(), "confirmedAt" = NULL,
							"clientUserAgent" = repeat('u', 100), "clientIp" = '192.0.2.1', "expiresOn" = date '2026-01-01' + %d
						WHERE "id" = "one"."id";
						COMMIT;
						IF "one"."changes" THEN
							UPDATE "sessionStore" SET "data" = jsonb_build_object('cart', repeat('d', 90)), "checksum" = repeat('c', 43), "updatedAt" = now()
							WHERE "id" = "one"."session";
							COMMIT;
						END IF;
					END LOOP;
				END $$`, w.day))
			w.autovacuum()
		}
		// Half of those that end are the oldest.
		w.exec(fmt.Sprintf(`WITH "doomed" AS (
				(SELECT "session" FROM "sessionStoreToken" ORDER BY "id" LIMIT %[1]d) UNION ALL
				(SELECT "session" FROM "sessionStoreToken" WHERE "id" NOT IN (SELECT "id" FROM "sessionStoreToken" ORDER BY "id" LIMIT %[1]d) ORDER BY random() LIMIT %[1]d)),
			"token" AS (DELETE FROM "sessionStoreToken" t USING "doomed" d WHERE t."session" = d."session")
			DELETE FROM "sessionStore" s USING "doomed" d WHERE s."id" = d."session"`, w.sessions/20))
		w.autovacuum()
	}
	return w.size()
}

func (w *wear) create(n int) {
	w.t.Helper()
	w.exec(fmt.Sprintf(`WITH "made" AS (
			INSERT INTO "sessionStore" ("id", "checksum", "data", "subject", "clientUserAgent", "clientIp")
			SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000000)::bigint), 16, '0') || substr(md5(random()::text), 1, 16))::uuid,
				repeat('c', 43), jsonb_build_object('cart', repeat('d', 90)), 'user-' || i, repeat('u', 100), '192.0.2.1' FROM generate_series(1, %d) i
			RETURNING "id")
		INSERT INTO "sessionStoreToken" ("id", "session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
		SELECT "id", "id", now(), now(), date '2026-01-01' + %d, now() FROM "made"`, n, w.day))
}

// autovacuum vacuums each table for which PostgreSQL's own rule says so.
func (w *wear) autovacuum() {
	w.t.Helper()
	w.exec(`SELECT pg_stat_force_next_flush()`)
	for _, table := range []string{"sessionStore", "sessionStoreToken"} {
		var due bool
		if err := w.pool.QueryRow(w.t.Context(), `
			SELECT s.n_dead_tup > 50 + c.reltuples * COALESCE(
				(SELECT option_value::float FROM pg_options_to_table(c.reloptions) WHERE option_name = 'autovacuum_vacuum_scale_factor'), 0.2)
			FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid WHERE c.relname = $1`, table).Scan(&due); err != nil {
			w.t.Fatal(err)
		}
		if due {
			w.exec(fmt.Sprintf(`VACUUM (ANALYZE) %q`, table))
			w.vacuums++
		}
	}
}

func (w *wear) size() (n int64) {
	w.t.Helper()
	if err := w.pool.QueryRow(w.t.Context(), `SELECT pg_total_relation_size('"sessionStore"') + pg_total_relation_size('"sessionStoreToken"')`).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// hot is how many percent of a table's updates wrote no index.
func (w *wear) hot(table string) (percent float64) {
	w.t.Helper()
	if err := w.pool.QueryRow(w.t.Context(), `SELECT 100.0 * n_tup_hot_upd / GREATEST(n_tup_upd, 1) FROM pg_stat_user_tables WHERE relname = $1`, table).Scan(&percent); err != nil {
		w.t.Fatal(err)
	}
	return percent
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// Vacuum would lock a table against readers and writers while it gives empty pages at its end back to the file system.
func TestVacuumKeepsEmptyPages(t *testing.T) {
	t.Parallel()
	w := newWear(t, 2000)
	w.create(w.sessions)
	sizes := func() (sizes [4]int64) {
		err := w.pool.QueryRow(t.Context(), `SELECT pg_relation_size('"sessionStore"'), pg_relation_size('"sessionStoreToken"'),
			pg_relation_size(s.reltoastrelid), pg_relation_size(t.reltoastrelid)
			FROM pg_class s, pg_class t WHERE s.oid = '"sessionStore"'::regclass AND t.oid = '"sessionStoreToken"'::regclass`).Scan(&sizes[0], &sizes[1], &sizes[2], &sizes[3])
		if err != nil {
			t.Fatal(err)
		}
		return sizes
	}
	w.exec(`ALTER TABLE "sessionStore" ALTER "data" SET STORAGE EXTERNAL`)
	w.exec(`ALTER TABLE "sessionStoreToken" ALTER "clientUserAgent" SET STORAGE EXTERNAL`)
	w.exec(`UPDATE "sessionStore" SET "data" = jsonb_build_object('long', repeat('d', 8000))`)
	w.exec(`UPDATE "sessionStoreToken" SET "clientUserAgent" = repeat('u', 8000)`)
	before := sizes()
	for _, size := range before {
		if size == 0 {
			t.Fatalf("the sizes are %v", before)
		}
	}
	w.exec(`DELETE FROM "sessionStore"`)
	for _, table := range []string{"sessionStore", "sessionStoreToken"} {
		w.exec(fmt.Sprintf(`VACUUM %q`, table))
	}
	if diff := cmp.Diff(before, sizes()); diff != "" {
		t.Errorf("vacuum gave pages back (-before +after):\n%s", diff)
	}
}
