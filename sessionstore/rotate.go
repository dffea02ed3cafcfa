package sessionstore

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Most refreshes are rotations of a pair's newest token. They are one conditional
// statement, and where many come at once they share statements: the work of a
// statement beside its rows (the message, the snapshot, the commit) is most of what
// a rotation costs PostgreSQL.

const (
	// maxStatements is how many of a store's statements that rotate may be under
	// way. A rotation that finds fewer is sent at once, alone. The others wait for
	// the next of them to end, and share one: more statements would wait for the
	// same disk.
	maxStatements = 2
	// maxTogether is how many rotations a statement has at the most.
	maxTogether = 128
	// statementPatience is how long a statement may keep others from being sent: it
	// may wait for a row that somebody has locked.
	statementPatience = 20 * time.Millisecond
)

// rotated is case Rotated of decide, and pair.rotate: what becomes of the row t of
// the pair that was asked for by a.
const rotated = `
  "generation" = t."generation" + 1, "createdAt" = now(), "issuedAt" = now(),
  "settledAt" = GREATEST(now(), t."issuedAt" + $5::interval),
  "expiresAt" = LEAST(now() + COALESCE(t."refreshTokenTtl", $7) * interval '1 s', t."sessionExpiresAt"),
  "expiresOn" = (LEAST(now() + COALESCE(t."refreshTokenTtl", $7) * interval '1 s', t."sessionExpiresAt") AT TIME ZONE 'UTC')::date,
  "accessGeneration" = t."accessGeneration" + 1, "confirmedAt" = NULL,
  "accessExpiresAt" = LEAST(now() + COALESCE(t."accessTokenTtl", $6) * interval '1 s', t."sessionExpiresAt"),
  "clientUserAgent" = a."userAgent", "clientIp" = a."ip"::inet,
  "dpopJkt" = COALESCE(t."dpopJkt", a."jkt")`

// rotatable is whether it is case Rotated. It need not look at the session's row,
// because Invalidate changes this one too.
const rotatable = `t."id" = a."id" AND t."session" = a."session" AND t."refreshToken" IS NULL AND t."generation" = a."generation"
  AND (t."issuedAt" IS NULL OR t."issuedAt" <= now() - $4::interval)
  AND t."revokedAt" IS NULL AND t."expiresAt" > now()
  AND (t."dpopJkt" IS NULL OR t."dpopJkt" = a."jkt")`

const rotatedColumns = `a."n", t."issuedAt", t."expiresAt", t."accessGeneration", t."accessExpiresAt"`

// rotateQuery changes one row, which it finds by its primary key, and no index but
// that of expiresOn, once a day.
const rotateQuery = `
UPDATE "sessionStoreToken" t SET` + rotated + `
FROM (SELECT $1::uuid AS "session", $2::uuid AS "id", $3::bigint AS "generation", $8::text AS "userAgent", $9::text AS "ip", $10::text AS "jkt", 1::bigint AS "n") a
WHERE ` + rotatable + `
RETURNING ` + rotatedColumns

// rotateTogetherQuery is the same for several pairs. A row that somebody else has
// locked is left out, as if it were not rotatable: nobody waits for another's
// session, and no order of locks has to be kept. Of two who present the same token,
// n tells which one is answered; the other finds it rotated. Each array is a
// subquery's, so that the planner takes every number of them for the same and need
// not plan anew.
const rotateTogetherQuery = `
WITH "free" AS (
  SELECT a.* FROM unnest((SELECT $1::uuid[]), (SELECT $2::uuid[]), (SELECT $3::bigint[]), (SELECT $8::text[]), (SELECT $9::text[]), (SELECT $10::text[]))
    WITH ORDINALITY AS a("session", "id", "generation", "userAgent", "ip", "jkt", "n")
  JOIN "sessionStoreToken" t ON ` + rotatable + `
  FOR NO KEY UPDATE OF t SKIP LOCKED
)
UPDATE "sessionStoreToken" t SET` + rotated + `
FROM "free" a
WHERE t."id" = a."id"
RETURNING ` + rotatedColumns

// rotations are those of a store that are under way, and those that wait. The zero
// value is ready.
type rotations struct {
	mu         sync.Mutex
	statements int
	waiting    []*rotation
}

// rotation is one that may have to wait for a statement.
type rotation struct {
	presented
	ctx context.Context //nolint:containedctx // its caller's, who may have gone when its turn comes
	// turn is told the rotations whose statement its caller runs, itself among
	// them, or closed when another has run it.
	turn chan []*rotation

	next pair
	err  error
}

// rotateNewest rotates the pair if the token is its newest one and its time has
// come. Otherwise nothing is changed and the error is pgx.ErrNoRows. The database's
// time is that of the pair's issue.
func (s *Store) rotateNewest(ctx context.Context, p presented) (pair, error) {
	r := &rotation{presented: p, ctx: ctx, err: pgx.ErrNoRows}
	together, err := s.rotations.enter(r)
	if err != nil {
		return pair{}, err
	}
	if together != nil {
		s.rotate(together) //nolint:contextcheck // it is for others too: see lastOf
	}
	return r.next, r.err
}

// enter waits until the rotation has its turn, and returns those that its caller is
// to make; none if it has been made.
func (q *rotations) enter(r *rotation) ([]*rotation, error) {
	if q.begin(r) {
		return []*rotation{r}, nil
	}
	select {
	case together := <-r.turn:
		return together, nil
	case <-r.ctx.Done():
		if q.leave(r) {
			return nil, r.ctx.Err()
		}
		return <-r.turn, nil // it has been taken along: this is a matter of one statement
	}
}

// begin tells whether the rotation may have a statement at once. Otherwise it waits.
func (q *rotations) begin(r *rotation) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.statements < maxStatements {
		q.statements++
		return true
	}
	r.turn = make(chan []*rotation, 1)
	q.waiting = append(q.waiting, r)
	return false
}

// leave tells whether the rotation still waited, and now does not.
func (q *rotations) leave(r *rotation) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, r)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// handOver gives a statement's place to those who wait, one of whom runs it for
// all: no goroutine is kept for that.
func (q *rotations) handOver() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.statements--
		return
	}
	n := min(len(q.waiting), maxTogether)
	together := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	together[0].turn <- together
}

// rotate runs the rotations' statement, and tells their callers, but for the first,
// who has called it. It keeps its place until it has ended, or for as long as others
// are to wait for it. Whatever happens, nobody is left waiting.
func (s *Store) rotate(together []*rotation) {
	place := time.AfterFunc(statementPatience, s.rotations.handOver)
	defer func() {
		if place.Stop() {
			s.rotations.handOver()
		}
		for _, r := range together[1:] {
			close(r.turn)
		}
	}()
	if len(together) == 1 {
		s.rotateAlone(together)
	} else {
		s.rotateTogether(together)
	}
}

func (s *Store) rotateAlone(one []*rotation) {
	r := one[0]
	rows, _ := s.pool.Query(r.ctx, rotateQuery, s.rotationArgs(arg(r.claims.SessionID), arg(r.claims.TokenID), r.claims.Generation,
		orNull(r.client.UserAgent), orNull(r.client.IP), orNull(r.proven))...)
	readRotated(rows, one)
}

// rotateTogether is for callers of whom each may go: it goes on until the last of
// their deadlines.
func (s *Store) rotateTogether(all []*rotation) {
	sessions, ids, generations := make([][16]byte, len(all)), make([][16]byte, len(all)), make([]int64, len(all))
	agents, ips, proven := make([]*string, len(all)), make([]*string, len(all)), make([]*string, len(all))
	for i, r := range all {
		sessions[i], ids[i], generations[i] = r.claims.SessionID, r.claims.TokenID, r.claims.Generation
		agents[i], ips[i], proven[i] = orNull(r.client.UserAgent), orNull(r.client.IP), orNull(r.proven)
	}
	ctx, cancel := lastOf(all)
	defer cancel()
	rows, _ := s.pool.Query(ctx, rotateTogetherQuery, s.rotationArgs(sessions, ids, generations, agents, ips, proven)...)
	readRotated(rows, all)
}

// rotationArgs are the arguments of both statements: one value of each kind, or an
// array.
func (s *Store) rotationArgs(sessions, ids, generations, agents, ips, proven any) []any {
	return []any{
		sessions, ids, generations, freshGraces * s.cfg.Grace, settleGraces * s.cfg.Grace,
		seconds(s.cfg.Lifetimes.AccessToken), seconds(s.cfg.Lifetimes.RefreshToken), agents, ips, proven,
	}
}

// lastOf returns a context that ends when the last of the callers' deadlines has
// passed.
func lastOf(all []*rotation) (context.Context, context.CancelFunc) {
	ctx := context.WithoutCancel(all[0].ctx)
	var last time.Time
	for _, r := range all {
		deadline, ok := r.ctx.Deadline()
		if !ok {
			return ctx, func() {}
		}
		if deadline.After(last) {
			last = deadline
		}
	}
	return context.WithDeadline(ctx, last)
}

// readRotated notes the pairs that were rotated. If the statement failed, each of
// them did: the rows have its error, that of its commit too.
func readRotated(rows pgx.Rows, all []*rotation) {
	var err error
	for rows.Next() {
		var n int
		var p pair
		if err = rows.Scan(&n, &p.IssuedAt, &p.ExpiresAt, &p.AccessGeneration, &p.AccessExpiresAt); err != nil {
			break
		}
		r := all[n-1]
		p.SessionID, p.Subject = r.claims.SessionID, r.claims.Subject
		p.ID, p.Generation, p.CreatedAt = r.claims.TokenID, r.claims.Generation+1, p.IssuedAt
		p.BoundTo = r.proven
		r.next, r.err = p, nil
	}
	rows.Close()
	if err = cmp.Or(err, rows.Err()); err != nil {
		for _, r := range all {
			r.next, r.err = pair{}, err
		}
	}
}
