package pgvalue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// person is read from a row of four columns.
type person struct {
	name  string
	born  time.Time
	shoes int64
	likes []byte

	row pgvalue.Row
}

func newPerson() *person {
	p := new(person)
	p.row = pgvalue.NewRow([]any{pgvalue.TextTo(&p.name), pgvalue.TimeTo(&p.born), &p.shoes, &p.likes})
	return p
}

// Remembered properties of a column are not used for one of another type or in another format, and
// a row is read as pgx reads it.
func TestRow(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	born := time.Date(1815, 12, 10, 1, 2, 3, 4000, time.UTC)
	var only *person
	for _, query := range []struct {
		sql  string
		args []any
	}{
		{`SELECT $1::text, $2::timestamptz, $3::bigint, $4::jsonb`, []any{"ada", born, int64(38), `{"a": 1}`}},
		{`SELECT $1::text, $2::timestamptz, $3::bigint, $4::jsonb`, []any{pgx.QueryExecModeSimpleProtocol, "ada", born, int64(38), `{"a": 1}`}},
		{`SELECT $1::varchar, $2::timestamptz, $3::integer, $4::json`, []any{"ada", born, int32(38), `{"a": 1}`}},
		{`SELECT $1::text, $2::timestamptz, $3::bigint, $4::jsonb`, []any{"ada", born, int64(38), `{"a": 1}`}},
	} {
		rows, err := conn.Query(t.Context(), query.sql+` UNION ALL SELECT NULL, NULL, 1, NULL`, query.args...)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; rows.Next(); n++ {
			p := pgvalue.Kept(rows, "a person", newPerson)
			if only == nil {
				only = p
			}
			if p != only {
				t.Error("a connection keeps two")
			}
			if err := p.row.Read(rows); err != nil {
				t.Fatalf("%s: %v", query.sql, err)
			}
			if n == 0 && (p.name != "ada" || !p.born.Equal(born) || p.shoes != 38 || string(p.likes) != `{"a": 1}`) ||
				n == 1 && (p.name != "" || !p.born.IsZero() || p.shoes != 1 || p.likes != nil) {
				t.Errorf("%s: row %d is %q, %v, %d, %s", query.sql, n, p.name, p.born, p.shoes, p.likes)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("%s: %v", query.sql, err)
		}
	}
}

func TestRowThatCannotBeRead(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	for sql, want := range map[string]string{
		`SELECT 'ada'`: "a row has 1 columns, not 4",
		`SELECT 'ada', now(), NULL::bigint, NULL::jsonb AS "likes"`:                  "column 3",
		`SELECT 'ada', 'infinity'::timestamptz AS "born", 1::bigint, NULL::jsonb`:    "column 2 (born): an infinite time",
		`SELECT 'ada', true AS "born", 1::bigint, NULL::jsonb`:                       "column 2 (born): ",
		`SELECT 'ada', now(), 1::bigint, NULL::jsonb, 'one more' ORDER BY 1 LIMIT 1`: "a row has 5 columns, not 4",
	} {
		rows, err := pool.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		if !rows.Next() {
			t.Fatal(rows.Err())
		}
		if err := newPerson().row.Read(rows); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", sql, err, want)
		}
		rows.Close()
	}
}
