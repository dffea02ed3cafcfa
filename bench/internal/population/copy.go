package population

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
)

// Ids are UUIDv7s. The time in them is firstMillisecond in the first session's, and each later one is a millisecond
// younger, so that ids ascend as they do in a real table. The rest tells a session's row from its pair's.
const (
	firstMillisecond = int64(1_700_000_000_000)

	sessionTail = "70008000000000000000"
	pairTail    = "70008000000000000001"
)

// ID returns the id of a session's row.
func ID(session int) uuid.UUID { return id(session, sessionTail) }

// PairID returns the id of the row of its pair of tokens.
func PairID(session int) uuid.UUID { return id(session, pairTail) }

func id(session int, tail string) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("%012x", firstMillisecond+int64(session)) + tail)
}

// IDExpression is [ID] in SQL, of an expression for the session.
func IDExpression(session string) string { return idExpression(session, sessionTail) }

// PairIDExpression is [PairID] in SQL.
func PairIDExpression(session string) string { return idExpression(session, pairTail) }

func idExpression(session, tail string) string {
	return fmt.Sprintf(`(lpad(to_hex(%d + %s), 12, '0') || '%s')::uuid`, firstMillisecond, session, tail)
}

// Two sessions for each user: a phone and a computer.
func subject(session int) string { return fmt.Sprintf("user-%d", session/2) }

// The statements that make sessions from $1 to $2: copies of the one real session $3, as the store has made it, so that
// the benchmark need not know the tables' columns. They expire so many days later: $4.
var (
	copySessions = `INSERT INTO "sessionStore" SELECT copied.* FROM generate_series($1::bigint, $2::bigint) AS g(i), "sessionStore" t,
		jsonb_populate_record(t, jsonb_build_object('id', ` + IDExpression("i") + `, 'subject', 'user-' || i / 2)) AS copied
		WHERE t."id" = $3 AND $4::integer IS NOT NULL`
	copyPairs = `INSERT INTO "sessionStoreToken" SELECT copied.* FROM generate_series($1::bigint, $2::bigint) AS g(i), "sessionStoreToken" t,
		jsonb_populate_record(t, jsonb_build_object('id', ` + PairIDExpression("i") + `, 'session', ` + IDExpression("i") + `,
			'expiresOn', t."expiresOn" + $4::integer)) AS copied
		WHERE t."session" = $3`
)

// fill makes the population's sessions, in both tables at once.
func (p *Population) fill(ctx context.Context) {
	const chunk = 200_000

	group, ctx := errgroup.WithContext(ctx)
	for table, statement := range map[string]string{"sessionStore": copySessions, "sessionStoreToken": copyPairs} {
		group.Go(func() error {
			return must.Run(func() {
				conn := p.connect(ctx)
				defer func() { _ = conn.Close(ctx) }() // whatever it did is committed
				for from := 0; from < p.Size; from += chunk {
					p.copies(ctx, conn, statement, from, min(from+chunk, p.Size)-1, 0)
				}
				must.Get(conn.Exec(ctx, `VACUUM (FREEZE, ANALYZE) `+pgx.Identifier{table}.Sanitize()))
			})
		})
	}

	must.Do(group.Wait())
}

// copies runs one of the two statements.
func (p *Population) copies(ctx context.Context, conn *pgx.Conn, statement string, from, to, daysLater int) {
	// Foreign keys and triggers are not checked row by row: the rows are known to fit together.
	must.Get(conn.Exec(ctx, `SET session_replication_role = replica`))
	must.Get(conn.Exec(ctx, statement, from, to, p.template, daysLater))
}

// Add makes n more sessions, and returns their ids.
func (p *Population) Add(ctx context.Context, n int) []uuid.UUID { return p.add(ctx, n, 0) }

// AddExpired makes n more sessions, which expired so long ago that clean-up removes them.
func (p *Population) AddExpired(ctx context.Context, n int) {
	const daysLater = -90 // they live for 30
	p.add(ctx, n, daysLater)
}

func (p *Population) add(ctx context.Context, n, daysLater int) []uuid.UUID {
	from := p.Size + int(p.extra.Add(int64(n))) - n
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = ID(from + i)
	}

	conn := p.connect(ctx)
	defer func() { _ = conn.Close(ctx) }() // it was committed
	tx := must.Get(conn.Begin(ctx))
	for _, statement := range []string{copySessions, copyPairs} {
		p.copies(ctx, conn, statement, from, from+n-1, daysLater)
	}
	must.Do(tx.Commit(ctx))

	return ids
}
