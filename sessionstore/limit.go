package sessionstore

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// lockSubjectQuery makes the creations of one subject wait for each other. It is a
// statement of its own: one that waits has taken its snapshot before, and would
// count without the sessions that it has waited for. Two subjects that share a hash
// only wait for each other. It comes before all locks of rows, and whoever has
// locked a row never takes it.
const lockSubjectQuery = `SELECT pg_advisory_xact_lock(hashtextextended($1, 4913067152811520273))`

// liveOfSubject are the subject's live sessions. A session is looked at once, by
// index, whatever the planner believes of the tables.
const liveOfSubject = `"live" AS (
  SELECT s."id", s."createdAt" FROM "sessionStore" s
  CROSS JOIN LATERAL (
    SELECT FROM "sessionStoreToken" r WHERE r."session" = s."id" AND r."refreshToken" IS NULL AND ` + live + ` LIMIT 1
  ) r
  WHERE s."subject" = $4 AND s."revokedAt" IS NULL
)`

// The oldest sessions end before the new one is made, as many as leave it room,
// their rows locked in the order in which a sign-out locks them. What has been
// revoked meanwhile needs no end.
const createEndingQuery = `
WITH "new" AS (
  ` + newSession + `
), ` + liveOfSubject + `, "target" AS MATERIALIZED (
  SELECT "id" FROM "sessionStore"
  WHERE "id" IN (SELECT "id" FROM "live" ORDER BY "createdAt" DESC, "id" DESC OFFSET $16::bigint - 1) AND "revokedAt" IS NULL
  ORDER BY "id" FOR NO KEY UPDATE
), ` + revokeTargets + `, ` + createRows + `, (SELECT count(*) FROM "session"), (SELECT count(*) FROM "told")`

const createRefusingQuery = `
WITH ` + liveOfSubject + `, "new" AS (
  ` + newSession + `
  WHERE (SELECT count(*) FROM (SELECT FROM "live" LIMIT $16) l) < $16::bigint
), ` + createRows + `, 0::bigint, 0::bigint`

// limit makes the sessions of which a subject may have so many.
type limit struct {
	pool   *pgxpool.Pool
	most   int // zero for any number
	action LimitAction
	turns  turns
}

// turns let a store make one session of a subject at a time. Whoever waits for the
// lock of the database holds a connection, and one user's sign-ins are not to take
// all of them from everybody else. The zero value is ready.
type turns struct {
	mu sync.Mutex
	of map[string]*turn // of subjects whose sessions are being made
}

type turn struct {
	taken chan struct{} // has room for the one whose turn it is
	users int           // who has it, and who wait for it
}

// take waits for the subject's turn, which release gives back.
func (q *turns) take(ctx context.Context, subject string) (release func(), err error) {
	t := q.enter(subject)
	select {
	case t.taken <- struct{}{}:
		return func() {
			<-t.taken
			q.leave(subject, t)
		}, nil
	case <-ctx.Done():
		q.leave(subject, t)
		return nil, sessionerr.Unavailable("create a session", ctx.Err())
	}
}

func (q *turns) enter(subject string) *turn {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.of[subject]
	if t == nil {
		t = &turn{taken: make(chan struct{}, 1)}
		if q.of == nil {
			q.of = map[string]*turn{}
		}
		q.of[subject] = t
	}
	t.users++
	return t
}

func (q *turns) leave(subject string, t *turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(q.of, subject)
	}
}

// counts tells whether a session counts: only a subject has a limit.
func (l *limit) counts(params CreateParams) bool { return l.most > 0 && params.Subject != "" }

// create makes a session, for which it ends others, unless it is refused.
// Both statements are one transaction and one round trip.
func (l *limit) create(ctx context.Context, c *creation) (ended int64, err error) {
	release, err := l.turns.take(ctx, c.session.Subject)
	if err != nil {
		return 0, err
	}
	defer release()
	query := createEndingQuery
	if l.action == RefuseNew {
		query = createRefusingQuery
	}
	var told int64
	var refused bool
	var now, expiresAt, accessExpiresAt time.Time
	batch := &pgx.Batch{}
	batch.Queue(lockSubjectQuery, c.session.Subject)
	batch.Queue(query, append(c.args(), int64(l.most))...).QueryRow(func(row pgx.Row) error {
		var id [16]byte
		err := row.Scan(&id, &now, &expiresAt, &accessExpiresAt, &ended, &told)
		if refused = pgvalue.IsNoRows(err); refused {
			return nil // for the driver a batch that fails has statements to prepare anew
		}
		return err
	})
	switch err := l.pool.SendBatch(ctx, batch).Close(); {
	case err != nil:
		return 0, sessionerr.Unavailable("create a session", err) // nothing was ended: it is one transaction
	case refused:
		return 0, ErrTooManySessions
	}
	c.at(now, expiresAt, accessExpiresAt)
	return ended, nil
}
