package sessionstore

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/groupcommit"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
)

const updateQuery = `
UPDATE "sessionStore" s SET "data" = $3, "checksum" = $4, "updatedAt" = now()
FROM "sessionStoreToken" r
WHERE s."id" = $1 AND s."checksum" = $2 AND r."session" = s."id" AND r."refreshToken" IS NULL AND ` + live

// updateTogetherQuery is the same for several sessions. One that another transaction has
// locked is left out, as if it had changed since it was read: no call waits for another's
// session, and locks need no order. Of several that write to the same session, the first one
// does. Arrays are read as in rotateTogetherQuery.
const updateTogetherQuery = `
WITH "free" AS MATERIALIZED (
  SELECT s."id", a."n"
  FROM (SELECT "n", "id", ($2::text[])["n"] AS "checksum" FROM unnest((SELECT $1::uuid[])) WITH ORDINALITY AS u("id", "n")) a
  JOIN "sessionStore" s ON s."id" = a."id" AND s."checksum" = a."checksum"
  JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL AND ` + live + `
  FOR NO KEY UPDATE OF s SKIP LOCKED
)
UPDATE "sessionStore" s SET "data" = f."data", "checksum" = f."next", "updatedAt" = now()
FROM (SELECT DISTINCT ON ("id") "id", "n", ($3::jsonb[])["n"] AS "data", ($4::text[])["n"] AS "next" FROM "free" ORDER BY "id", "n") f
WHERE s."id" = f."id"
RETURNING f."n", ` + worked

// writing is data to replace a session's, if that is still what was read with the
// checksum.
type writing struct {
	id             uuid.UUID
	checksum, next string
	stored         []byte // the data as the database gets it

	written bool
}

var updatesTogether = newChanging(updateTogetherQuery)

func (s statements) write(ctx context.Context, all []*groupcommit.Call[writing]) error {
	if len(all) == 1 {
		return write(ctx, s.pool, &all[0].Of)
	}
	read := func(rows pgx.Rows) error { return readWritten(rows, all) }
	return s.change(ctx, read, updatesTogether,
		column(all, func(w *writing) pgtype.UUID { return pgvalue.UUID(w.id) }),
		column(all, func(w *writing) pgtype.Text { return pgvalue.Text(w.checksum) }),
		column(all, func(w *writing) []byte { return w.stored }),
		column(all, func(w *writing) pgtype.Text { return pgvalue.Text(w.next) }))
}

// write writes one session's data, and waits for its lock.
func write(ctx context.Context, db executor, w *writing) error {
	tag, err := db.Exec(ctx, updateQuery, pgvalue.UUID(w.id), w.checksum, w.stored, w.next)
	w.written = err == nil && tag.RowsAffected() == 1
	return err
}

// writtenRow is where rows of what was written are read to. Each connection has one.
type writtenRow struct {
	n, worked int64
	row       pgvalue.Row
}

func newWrittenRow() *writtenRow {
	r := new(writtenRow)
	r.row = pgvalue.NewRow([]any{&r.n, &r.worked})
	return r
}

// readWritten notes whose data was written.
func readWritten(rows pgx.Rows, all []*groupcommit.Call[writing]) error {
	defer rows.Close()
	for _, c := range all {
		c.Of.written = false
	}
	for rows.Next() {
		row := pgvalue.Kept(rows, "latchkey writing", newWrittenRow)
		if err := row.row.Read(rows); err != nil {
			return err
		}
		all[row.n-1].Of.written = true
		noteWorked(all[row.n-1], row.worked)
	}
	return rows.Err()
}
