package sessionstore

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/groupcommit"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
)

const loadColumns = sessionColumns + `, s."data", COALESCE(r."claims", ''), ` + endingColumns

const loadQuery = `
SELECT ` + loadColumns + `, 1::bigint, ` + worked + `
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
` + endOfEra + `
WHERE s."id" = $1 AND ` + primary.Only + `
` + best

// loadTogetherQuery is the same for several. The array is a subquery's: see getTogetherQuery.
const loadTogetherQuery = `
SELECT ` + loadColumns + `, a."n", ` + worked + `
FROM unnest((SELECT $1::uuid[])) WITH ORDINALITY AS a("id", "n")
JOIN "sessionStore" s ON s."id" = a."id"
CROSS JOIN LATERAL (
  SELECT r.* FROM "sessionStoreToken" r WHERE r."session" = s."id" AND r."refreshToken" IS NULL
  ` + best + `
) r
` + endOfEra + `
WHERE ` + primary.Only

// loading is a session that is requested by its id, and what is stored of it.
type loading struct {
	asked struct { // stays: the statement may have to be sent again
		id   pgtype.UUID
		args [1]any // this, for one alone
	}

	found   bool
	session Session
	data    []byte
	claims  string // parsed once the calls are separate again
	end     endingRow
}

func newLoading(id uuid.UUID) (l loading) {
	l.asked.id = pgvalue.UUID(id)
	return l
}

func (s statements) load(ctx context.Context, all []*groupcommit.Call[loading]) error {
	read := func(rows pgx.Rows) error { return s.scanLoadings(rows, all) }
	if len(all) == 1 {
		asked := &all[0].Of.asked
		asked.args[0] = &asked.id
		return s.pool.Read(ctx, read, loadQuery, asked.args[:]...)
	}
	return s.pool.Read(ctx, read, loadTogetherQuery, column(all, func(l *loading) pgtype.UUID { return l.asked.id }))
}

// loadingRow is where rows of loadColumns are read to. Each connection has one.
type loadingRow struct {
	loading

	client clientScanner
	n      int64
	worked int64
	row    pgvalue.Row
}

func newLoadingRow() *loadingRow {
	l := new(loadingRow)
	l.row = pgvalue.NewRow(append(appendSession(nil, &l.session, &l.client), &l.data, &l.claims, &l.end.at, &l.end.reason, &l.end.by, &l.n, &l.worked))
	return l
}

// scanLoadings notes what was found.
func (s statements) scanLoadings(rows pgx.Rows, all []*groupcommit.Call[loading]) error {
	defer rows.Close()
	for _, c := range all {
		c.Of.found = false
	}
	for rows.Next() {
		l := pgvalue.Kept(rows, "latchkey loading", newLoadingRow)
		l.client.first = s.rules.FirstClient
		err := l.row.Read(rows)
		found := l.loading
		l.loading = loading{} // nobody's session is kept
		if err != nil {
			return err
		}
		c := all[l.n-1]
		found.asked, found.found, found.session.ClientID = c.Of.asked, true, l.client.id
		c.Of = found
		noteWorked(c, l.worked)
	}
	return rows.Err()
}
