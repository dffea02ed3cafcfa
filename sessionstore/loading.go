package sessionstore

import (
	"context"

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
WHERE ` + primary.Only

// loading is a session that is asked for by its id, and what is stored of it.
type loading struct {
	id pgtype.UUID

	found   bool
	session Session
	data    []byte
	claims  string // read once the calls are apart
	end     endingRow
}

func (s statements) load(ctx context.Context, all []*groupcommit.Call[loading]) error {
	read := func(rows pgx.Rows) error { return s.scanLoadings(rows, all) }
	if len(all) == 1 {
		return s.pool.Read(ctx, read, loadQuery, &all[0].Of.id)
	}
	return s.pool.Read(ctx, read, loadTogetherQuery, column(all, func(l *loading) pgtype.UUID { return l.id }))
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
		found.found, found.session.ClientID = true, l.client.id
		all[l.n-1].Of = found
		noteWorked(all[l.n-1], l.worked)
	}
	return rows.Err()
}
