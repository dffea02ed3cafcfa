package sessionstore

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// featureNotSupported is the SQLSTATE with which Citus refuses a statement that it does not
// distribute. It has done nothing then.
const featureNotSupported = "0A000"

// refusesReturning reports whether Citus refuses what a statement has in RETURNING. PostgreSQL has the
// same SQLSTATE for other refusals, such as that of a plan for a table that was changed since.
func refusesReturning(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && answer.Code == featureNotSupported && strings.Contains(answer.Message, "RETURNING")
}

// changing is a statement that changes rows and says in each how long it has worked.
type changing struct {
	query string
	apart string // the same, which says apart how long it has worked
}

// newChanging is for a statement that begins with no CTE that makes rows: see create_apart.go.
func newChanging(query string) changing { return changing{query, sayApart(query)} }

// change sends such a statement. In a schema that Citus distributes RETURNING may have no such
// function. [Store.Ping] or the first refusal shows it, and from then on the statements return it separately, which costs
// PostgreSQL a little more.
func (s statements) change(ctx context.Context, read func(pgx.Rows) error, of changing, args ...any) error {
	if !s.saysApart.Load() {
		err := s.pool.Read(ctx, read, of.query, args...)
		if !refusesReturning(err) {
			return err
		}
		s.saysApart.Store(true)
	}
	return s.pool.Read(ctx, read, of.apart, args...)
}

func sayApart(query string) string {
	return `WITH "done" AS (` + strings.TrimSuffix(query, `, `+worked) + `)
SELECT *, ` + worked + ` FROM "done"`
}
