package testdb

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Plans fails the test unless each statement finds the rows of sessions by key, by session or
// by subject, even in tables that were never analyzed, and in those of which PostgreSQL has
// statistics from when they were nearly empty. Pages that are a tenth full make it plan for ten
// times as many rows. Nor must it expect so much work that it compiles a statement, which takes
// far longer than running it, unless the statement's name begins with one of the prefixes:
// those are sent with jit off. Arguments are samples of their type; for those that are text, it
// is the text.
func Plans(t *testing.T, text string, queries map[string]string, compiled ...string) {
	t.Helper()
	for name, first := range map[string]string{"never analyzed": `SELECT`, "analyzed when empty": `ANALYZE "sessionStore", "sessionStoreToken"`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := Pool(t).Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Release()
			for _, sql := range []string{
				`ALTER TABLE "sessionStore" SET (autovacuum_enabled = false, fillfactor = 10)`, `ALTER TABLE "sessionStoreToken" SET (autovacuum_enabled = false, fillfactor = 10)`,
				first,
				`INSERT INTO "sessionStore" ("checksum", "data", "subject") SELECT '', '{}', 's' || i FROM generate_series(1, 40000) i`,
				`INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt") SELECT "id", now(), now(), current_date, now() FROM "sessionStore"`,
			} {
				if _, err := conn.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			for _, mode := range []string{"force_generic_plan", "force_custom_plan"} {
				if _, err := conn.Exec(t.Context(), `SET plan_cache_mode = `+mode); err != nil {
					t.Fatal(err)
				}
				for name, query := range queries {
					plan := planOf(t, conn, text, name, query)
					if strings.Contains(plan, `Seq Scan on "sessionStore" `) || strings.Contains(plan, `Seq Scan on "sessionStoreToken" `) || strings.Contains(plan, "BitmapAnd") {
						t.Errorf("%s, %s: reads more than its rows:\n%s", name, mode, plan)
					}
					if cost := costOf(t, plan); cost > jitAboveCost && !slices.ContainsFunc(compiled, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
						t.Errorf("%s, %s: costs %v, and is compiled:\n%s", name, mode, cost, plan)
					}
				}
			}
		})
	}
}

// jitAboveCost is PostgreSQL's default.
const jitAboveCost = 100_000

// costOf returns how much work PostgreSQL expects of a plan; zero if it is of a command without
// one.
func costOf(t *testing.T, plan string) (cost float64) {
	t.Helper()
	if found := regexp.MustCompile(`^.*\(cost=[0-9.]+\.\.([0-9.]+)`).FindStringSubmatch(plan); found != nil {
		var err error
		if cost, err = strconv.ParseFloat(found[1], 64); err != nil {
			t.Fatal(err)
		}
	}
	return cost
}

// planOf returns how PostgreSQL would run a statement, with arguments of its types.
func planOf(t *testing.T, conn *pgxpool.Conn, text, name, query string) string {
	t.Helper()
	statement, err := conn.Conn().Prepare(t.Context(), name, query)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), fmt.Sprintf(`EXPLAIN EXECUTE "%s"%s`, name, sampleArguments(t, conn, text, statement.ParamOIDs)))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.Join(lines, "\n")
}

// sampleArguments are arguments of a statement: a hundred in each array.
func sampleArguments(t *testing.T, conn *pgxpool.Conn, text string, types []uint32) string {
	t.Helper()
	if len(types) == 0 {
		return ""
	}
	values := make([]string, len(types))
	for i, oid := range types {
		typ, ok := conn.Conn().TypeMap().TypeForOID(oid)
		if !ok {
			t.Fatalf("type %d is not known", oid)
		}
		element, isArray := strings.CutPrefix(typ.Name, "_")
		value, ok := map[string]string{
			"uuid": uuid.NewString(), "text": text, "varchar": text, "int4": "100", "int8": "100", "int2": "7", "bool": "true", "timestamptz": "2026-01-01Z",
			"interval": "1 s", "jsonb": "{}", "bytea": `\x00`, "float8": "1", "inet": "192.0.2.1", "xid8": "7", "json": "{}",
		}[element]
		if !ok {
			t.Fatalf("no argument of type %q", element)
		}
		if isArray {
			value = `{"` + strings.Repeat(value+`","`, 99) + value + `"}`
		}
		values[i] = "'" + value + "'"
	}
	return "(" + strings.Join(values, ", ") + ")"
}
