package soak_test

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/migrations"
)

// row is the state of a session, as the protocol's decision sees it.
type row struct {
	generation  int64
	issuedAt    *time.Time
	confirmedAt *time.Time
	revoked     bool
	now         time.Time
}

const rowQuery = `
SELECT r."generation", r."issuedAt", r."confirmedAt", s."revokedAt" IS NOT NULL, clock_timestamp()
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."id" = $1`

// rotatable reports whether the newest token is not fresh any more.
func (r row) rotatable() bool {
	return r.issuedAt == nil || r.now.After(r.issuedAt.Add(fresh))
}

// graceOver reports whether the newest token's predecessor is late.
func (r row) graceOver() bool {
	since := r.issuedAt
	if r.confirmedAt != nil && (since == nil || r.confirmedAt.After(*since)) {
		since = r.confirmedAt
	}
	return since == nil || r.now.After(since.Add(grace))
}

func (s *soak) row(session string) (r row) {
	s.queryOn(func() *pgxpool.Pool { return s.poolOf(session) }, rowQuery, []any{session}, &r.generation, &r.issuedAt, &r.confirmedAt, &r.revoked, &r.now)
	return r
}

// poolOf returns connections to the database that a session is in by now.
func (s *soak) poolOf(session string) *pgxpool.Pool {
	if s.shards == nil {
		return s.pool
	}
	return s.shards.pool(sessionid.Shard(uuid.MustParse(session)))
}

// query reads one row, as soon as there is a database.
func (s *soak) query(query string, args []any, dest ...any) {
	s.queryOn(func() *pgxpool.Pool { return s.pool }, query, args, dest...)
}

func (s *soak) queryOn(pool func() *pgxpool.Pool, query string, args []any, dest ...any) {
	var err error
	for began := time.Now(); s.worthwhile(began); time.Sleep(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
		err = pool().QueryRow(ctx, query, args...).Scan(dest...)
		cancel()
		if err == nil {
			return
		}
	}
	s.t.Errorf("ask the database: %v", err)
}

// awaitRow returns false where that does not happen.
func (s *soak) awaitRow(session string, done func(row) bool) bool {
	for began := time.Now(); s.worthwhile(began); time.Sleep(50 * time.Millisecond) {
		if done(s.row(session)) {
			return true
		}
	}
	s.t.Errorf("session %s did not get into the state that was waited for", session)
	return false
}

const queueQuery = `
SELECT count(*) FILTER (WHERE "state" NOT IN ('completed', 'discarded', 'cancelled')), count(*) FILTER (WHERE "state" IN ('discarded', 'cancelled')),
  count(*) FILTER (WHERE "metadata" ? 'river:rescue_count')
FROM `

// drain waits until every report was worked off.
func (s *soak) drain() {
	s.t.Helper()
	pools := []*pgxpool.Pool{s.pool}
	if s.shards != nil {
		pools = s.shards.allPools()
	}
	var given, rescued int
	began := time.Now()
	for _, pool := range pools {
		queue, err := migrations.QueueSchema(s.t.Context(), pool)
		if err != nil {
			s.t.Fatal(err)
		}
		var open, givenHere, rescuedHere int
		s.await("the queue's end", func() bool {
			s.queryOn(func() *pgxpool.Pool { return pool }, queueQuery+queue+`.river_job WHERE "kind" LIKE 'leak%'`, nil, &open, &givenHere, &rescuedHere)
			return open == 0
		})
		given, rescued = given+givenHere, rescued+rescuedHere
	}
	s.t.Logf("the queue was worked off %v after the last failure; %d of its jobs had been interrupted by a kill", time.Since(began).Round(time.Second), rescued)
	if given > 0 {
		s.t.Errorf("the queue gave %d reports up", given)
	}
}
