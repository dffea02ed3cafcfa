package sessionstore

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/groupcommit"
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

// loadingRow is where rows of loadColumns are read to: see readingRow.
type loadingRow struct {
	loading

	client clientScanner
	n      int
	worked int64
	places []any
}

var loadingRows = sync.Pool{New: func() any {
	l := new(loadingRow)
	l.places = append(appendSession(nil, &l.session, &l.client), &l.data, &l.claims, &l.end.at, &l.end.reason, &l.end.by, &l.n, &l.worked)
	return l
}}

// scanLoadings notes what was found.
func (s statements) scanLoadings(rows pgx.Rows, all []*groupcommit.Call[loading]) error {
	defer rows.Close()
	for _, c := range all {
		c.Of.found = false
	}
	l, _ := loadingRows.Get().(*loadingRow)
	defer func() {
		l.loading = loading{} // nobody's session is kept
		loadingRows.Put(l)
	}()
	l.client.first = s.rules.FirstClient
	for rows.Next() {
		if err := rows.Scan(l.places...); err != nil {
			return err
		}
		l.found, l.session.ClientID = true, l.client.id
		all[l.n-1].Of = l.loading
		noteWorked(all[l.n-1], l.worked)
	}
	rows.Close()
	return rows.Err()
}
