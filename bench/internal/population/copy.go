package population

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
)

// createIDs makes functions of a session's number: the id of its row, and that of its pair of tokens. Ids are UUIDv7s.
// In each the time is a millisecond later than in the previous one, so that they ascend as in a real table.
const createIDs = `
CREATE FUNCTION bench_session(i bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
	AS $$ SELECT (lpad(to_hex(1700000000000 + i), 12, '0') || '70008000000000000000')::uuid $$;
CREATE FUNCTION bench_pair(i bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
	AS $$ SELECT (lpad(to_hex(1700000000000 + i), 12, '0') || '70008000000000000001')::uuid $$`

// tables are filled, from session $1 to $2, by these statements: with copies of the one real session $3, as the store has
// made it, so that the benchmark need not know their columns. They expire so many days later: $4. Each user has two
// sessions: a phone and a computer.
var tables = []struct{ name, copy string }{
	{"sessionStore", `INSERT INTO "sessionStore" SELECT copied.* FROM generate_series($1::bigint, $2::bigint) AS g(i), "sessionStore" t,
		jsonb_populate_record(t, jsonb_build_object('id', bench_session(i), 'subject', 'user-' || i / 2)) AS copied
		WHERE t."id" = $3 AND $4::integer IS NOT NULL`},
	{"sessionStoreToken", `INSERT INTO "sessionStoreToken" SELECT copied.* FROM generate_series($1::bigint, $2::bigint) AS g(i), "sessionStoreToken" t,
		jsonb_populate_record(t, jsonb_build_object('id', bench_pair(i), 'session', bench_session(i), 'expiresOn', t."expiresOn" + $4::integer)) AS copied
		WHERE t."session" = $3`},
}

// fill makes the population's sessions, in both tables at once.
func (p *Population) fill(ctx context.Context) {
	const chunk = 200_000

	p.Exec(ctx, createIDs)
	must.Share(len(tables), len(tables), func(i int) {
		p.connected(ctx, func(conn *pgx.Conn) {
			for from := 0; from < p.Size; from += chunk {
				p.copies(ctx, conn, tables[i].copy, from, min(from+chunk, p.Size)-1, 0)
			}
			must.Get(conn.Exec(ctx, `VACUUM (FREEZE, ANALYZE) `+pgx.Identifier{tables[i].name}.Sanitize()))
		})
	})
}

// copies runs one of the two statements.
func (p *Population) copies(ctx context.Context, conn *pgx.Conn, statement string, from, to, daysLater int) {
	// Foreign keys and triggers are not checked row by row: the rows are known to fit together.
	must.Get(conn.Exec(ctx, `SET session_replication_role = replica`))
	must.Get(conn.Exec(ctx, statement, from, to, p.template, daysLater))
}

// Expired are days, before they were made, on which sessions expired that cleanup removes: they live for 30.
const Expired = -90

// Add makes n more sessions, which expire so many days later than others, and returns their ids.
func (p *Population) Add(ctx context.Context, n, daysLater int) (ids []uuid.UUID) {
	to := p.Size + int(p.extra.Add(int64(n))) - 1
	p.connected(ctx, func(conn *pgx.Conn) {
		tx := must.Get(conn.Begin(ctx))
		for _, table := range tables {
			p.copies(ctx, conn, table.copy, to-n+1, to, daysLater)
		}
		must.Do(tx.Commit(ctx))
		rows := must.Get(conn.Query(ctx, `SELECT bench_session(i) FROM generate_series($1::bigint, $2) AS i`, to-n+1, to))
		ids = must.Get(pgx.CollectRows(rows, pgx.RowTo[uuid.UUID]))
	})
	return ids
}

// Touch changes each row of the sample once, which is what takes a table to its steady state after a checkpoint: the
// first change of a page puts the whole page into the WAL. Pairs of those that are only read are taken into memory.
func (p *Population) Touch(ctx context.Context) {
	for circle, statements := range map[*Circle][]string{
		p.Rotating: {`UPDATE "sessionStoreToken" SET "lateRetries" = "lateRetries" WHERE "session" = ANY($1)`},
		p.Readers: {
			`UPDATE "sessionStore" SET "updatedAt" = "updatedAt" WHERE "id" = ANY($1)`,
			`SELECT count("expiresAt") FROM "sessionStoreToken" WHERE "session" = ANY($1)`,
		},
	} {
		for some := range slices.Chunk(circle.sessions, 5000) {
			var ids []uuid.UUID
			for _, s := range some {
				ids = append(ids, s.ID)
			}
			for _, statement := range statements {
				p.Exec(ctx, statement, ids)
			}
		}
	}
}

// Settle has the sessions be as if they had been refreshed long ago, so that each may be refreshed again at once
// whatever the service's grace is.
func (p *Population) Settle(ctx context.Context) {
	for _, s := range p.Rotating.sessions {
		s.Rotated = time.Time{}
	}
	p.Exec(ctx, `UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - interval '1 hour' WHERE "issuedAt" > now() - interval '1 minute'`)
}
