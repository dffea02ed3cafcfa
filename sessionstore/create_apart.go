package sessionstore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/groupcommit"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
)

// In a schema that Citus distributes, a statement that inserts in a CTE is taken apart: each part is planned again, its
// rows go through files on all nodes, and so all of them take part in a two-phase commit. Plain
// inserts are passed on to the node of the schema as they are, and that node commits alone. So
// there sessions are made by a statement for each row, all in one transaction and one round trip. These
// statements record no transaction for events, which cannot be derived there, and look up no era, as that
// would make them statements of the first kind: it is read before. If another era begins meanwhile, the
// sessions are of the one before, like any whose creation was under way.
const (
	createSessionQuery = `
INSERT INTO "sessionStore" ("id", "checksum", "data", "createdAt", "updatedAt", "subject", "clientLabel", "clientUserAgent", "clientIp")
VALUES ($1, $2, $3, now(), now(), $4, $5, $6, $7::text::inet)`

	createPairQuery = `
INSERT INTO "sessionStoreToken" ("session", "id", "createdAt", "expiresAt", "expiresOn",
  "accessExpiresAt", "sessionExpiresAt", "accessTokenTtl", "refreshTokenTtl", "dpopJkt", "audience", "claims", "client", "era")
VALUES ($1, $3, now(), LEAST(now() + $5::integer * interval '1 s', ` + newEnd + `), (LEAST(now() + $5 * interval '1 s', ` + newEnd + `) AT TIME ZONE 'UTC')::date,
  LEAST(now() + $4::integer * interval '1 s', ` + newEnd + `), ` + newEnd + `, $6, $7, $8, $9, $10, $11, $12)
RETURNING "createdAt", "expiresAt", "accessExpiresAt", COALESCE("era", 0)`

	newEnd = `now() + $2::integer * interval '1 s'`

	workedQuery = `SELECT ` + worked
)

// sessionArgs is how many of [creation.args] are for the session's row. Those for the pair's row follow.
const sessionArgs = 7

func (s statements) create(ctx context.Context, all []*groupcommit.Call[*creation]) error {
	if !s.saysApart.Load() {
		err := s.createAtOnce(ctx, all)
		if !refusesReturning(err) {
			return err
		}
		s.saysApart.Store(true)
	}
	return s.createApart(ctx, all)
}

func (s statements) createApart(ctx context.Context, all []*groupcommit.Call[*creation]) error {
	var current int64
	if err := s.pool.QueryRow(ctx, currentEraQuery).Scan(&current); err != nil {
		return err
	}
	batch := &pgx.Batch{}
	for _, c := range all {
		args := append(c.Of.args(), pgvalue.OrNull(current))
		batch.Queue(createSessionQuery, args[:sessionArgs]...)
		batch.Queue(createPairQuery, append(args[:1:1], args[sessionArgs:]...)...).QueryRow(func(row pgx.Row) error {
			var g granted
			if err := row.Scan(g.dest()...); err != nil {
				return err
			}
			c.Of.is(g)
			return nil
		})
	}
	batch.Queue(workedQuery).QueryRow(func(row pgx.Row) error {
		var worked int64
		err := row.Scan(&worked)
		for _, c := range all {
			noteWorked(c, worked)
		}
		return err
	})
	return s.pool.SendBatch(ctx, batch).Close()
}
