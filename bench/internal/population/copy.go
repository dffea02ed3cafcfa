package population

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// firstMillisecond is the time in the ids of the first session. Each later one is a millisecond younger, so that ids
// ascend as they do in a real table.
const firstMillisecond = int64(1_700_000_000_000)

// ID returns the id of a session's row (kind 0), or of one of its token rows: a UUIDv7.
func ID(session, kind int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("%012x", firstMillisecond+int64(session)) + fmt.Sprintf(idTail, kind))
}

const idTail = "70008000%012x"

// IDExpression is [ID] in SQL, of an expression for the session.
func IDExpression(session string, kind int) string {
	return fmt.Sprintf(`(lpad(to_hex(%d + %s), 12, '0') || '%s')::uuid`, firstMillisecond, session, fmt.Sprintf(idTail, kind))
}

const (
	sessionTable = `"sessionStore"`
	tokenTable   = `"sessionStoreToken"`
)

// template is one real session, as the store has made it, of which all others are copies: so the benchmark need not know
// the tables' columns.
type template struct {
	id uuid.UUID
	// tokens are its token rows. The first has kind 1.
	tokens []tokenRow
}

type tokenRow struct{ id, refreshToken uuid.UUID }

// kind returns the number of a token row in [ID].
func (t template) kind(id uuid.UUID) (int, error) {
	for i, row := range t.tokens {
		if row.id == id {
			return i + 1, nil
		}
	}

	return 0, fmt.Errorf("there is no token row %v", id)
}

func readTemplate(ctx context.Context, conn *pgx.Conn, id uuid.UUID) (template, error) {
	rows, err := conn.Query(ctx, `SELECT "id", COALESCE("refreshToken", '00000000-0000-0000-0000-000000000000') FROM `+tokenTable+
		` WHERE "session" = $1 ORDER BY "refreshToken" NULLS FIRST`, id)
	if err != nil {
		return template{}, err
	}
	t := template{id: id}
	t.tokens, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r tokenRow, err error) {
		return r, row.Scan(&r.id, &r.refreshToken)
	})

	return t, err
}

// statements copy the template to the sessions from $1 to $2: one statement for each row of it. The first makes the
// sessions' own rows. Some columns may get values of their own.
func (t template) statements(ctx context.Context, conn *pgx.Conn, others map[string]string) ([]string, error) {
	const session = `g."i"`
	insert := func(table string, id uuid.UUID, replaced map[string]string) (string, error) {
		columns, err := columnsOf(ctx, conn, table)
		if err != nil {
			return "", err
		}
		maps.Copy(replaced, others)
		names, values := make([]string, len(columns)), make([]string, len(columns))
		for i, column := range columns {
			names[i] = pgx.Identifier{column}.Sanitize()
			values[i] = `t.` + names[i]
			if expression, ok := replaced[column]; ok {
				values[i] = expression
			}
		}
		return fmt.Sprintf(`INSERT INTO %s (%s) SELECT %s FROM generate_series($1::bigint, $2::bigint) AS g("i"), %s t WHERE t."id" = '%s'`,
			table, strings.Join(names, ", "), strings.Join(values, ", "), table, id), nil
	}

	own, err := insert(sessionTable, t.id, map[string]string{"id": IDExpression(session, 0), "subject": subjectExpression(session)})
	if err != nil {
		return nil, err
	}
	all := []string{own}
	for i, row := range t.tokens {
		replaced := map[string]string{"id": IDExpression(session, i+1), "session": IDExpression(session, 0)}
		if row.refreshToken != uuid.Nil {
			kind, err := t.kind(row.refreshToken)
			if err != nil {
				return nil, err
			}
			replaced["refreshToken"] = IDExpression(session, kind)
		}
		statement, err := insert(tokenTable, row.id, replaced)
		if err != nil {
			return nil, err
		}
		all = append(all, statement)
	}

	return all, nil
}

func columnsOf(ctx context.Context, conn *pgx.Conn, table string) ([]string, error) {
	rows, err := conn.Query(ctx, `SELECT attname::text FROM pg_attribute
		WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum`, table)
	if err != nil {
		return nil, err
	}

	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Two sessions for each user: a phone and a computer.
func subject(session int) string { return fmt.Sprintf("user-%d", session/2) }

func subjectExpression(session string) string { return `'user-' || ` + session + ` / 2` }
