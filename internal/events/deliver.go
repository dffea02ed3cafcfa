package events

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
)

const (
	// atOnce is how many deliveries to one endpoint a replica has under way.
	atOnce = 8
	// lookInterval is how late a delivery is noticed that another replica derived.
	lookInterval = time.Second
	// finishTimeout is for noting what became of a delivery.
	finishTimeout = 5 * time.Second
	// lease is after how long a delivery is taken over whose replica was killed.
	lease = sendTimeout + 2*finishTimeout

	// Deliveries are tried after 5 s, 10 s, 20 s and so on, from an hour's pause on every
	// hour, for about a day. Each pause is up to a fifth longer or shorter.
	firstPause   = 5 * time.Second
	lastPause    = time.Hour
	mostAttempts = 34
)

const (
	// claimQuery takes deliveries that are due, of each session the first one alone. The
	// order has the planner take the index.
	claimQuery = `
UPDATE "sessionStoreDelivery" d SET "attempts" = d."attempts" + 1, "dueAt" = now() + $3 * interval '1 s'
FROM (
  SELECT c."id" FROM "sessionStoreDelivery" c
  WHERE c."endpoint" = $1 AND c."deadAt" IS NULL AND c."dueAt" <= now() AND NOT EXISTS (
    SELECT FROM "sessionStoreDelivery" e WHERE e."endpoint" = $1 AND e."session" = c."session" AND e."id" < c."id" AND e."deadAt" IS NULL)
  ORDER BY c."dueAt", c."id" LIMIT $2 FOR UPDATE SKIP LOCKED
) c WHERE d."id" = c."id"
RETURNING d."id", d."event", d."type", d."at", d."facts", d."attempts", now()`

	// Each of these does nothing where somebody else has taken the delivery over, since
	// "attempts" is then another one. The session's later deliveries wait with it.

	deliveredQuery = `
WITH "done" AS (
  DELETE FROM "sessionStoreDelivery" WHERE "id" = $1 AND "attempts" = $2 RETURNING "id", "endpoint", "session"
)
UPDATE "sessionStoreDelivery" d SET "dueAt" = now() FROM "done"
WHERE d."endpoint" = "done"."endpoint" AND d."session" = "done"."session" AND d."id" > "done"."id" AND d."deadAt" IS NULL AND d."dueAt" > now()`

	failedQuery = `
WITH "done" AS (
  UPDATE "sessionStoreDelivery" SET "lastError" = $3, "deadAt" = CASE WHEN $5::boolean THEN now() END, "dueAt" = now() + $4 * interval '1 s'
  WHERE "id" = $1 AND "attempts" = $2 RETURNING "id", "endpoint", "session", "dueAt"
)
UPDATE "sessionStoreDelivery" d SET "dueAt" = CASE WHEN $5 THEN now() ELSE "done"."dueAt" END FROM "done"
WHERE d."endpoint" = "done"."endpoint" AND d."session" = "done"."session" AND d."id" > "done"."id" AND d."deadAt" IS NULL`

	releaseQuery = `UPDATE "sessionStoreDelivery" SET "dueAt" = now(), "attempts" = "attempts" - 1 WHERE "id" = $1 AND "attempts" = $2`
)

// delivery is one that was taken.
type delivery struct {
	id       int64
	event    uuid.UUID
	kind     Type
	at       time.Time
	facts    json.RawMessage
	attempts int
	// now is the database's time when it was taken.
	now time.Time
}

// deliver works the endpoint's deliveries off until ctx ends.
func (r *Runner) deliver(ctx context.Context, e *endpoint) {
	var sending sync.WaitGroup
	defer sending.Wait()
	free := make(chan struct{}, atOnce)
	for range atOnce {
		free <- struct{}{}
	}
	r.repeat(ctx, lookInterval, e.woken, "looking for deliveries", func(ctx context.Context) error {
		for {
			taken, err := r.take(ctx, e, free)
			for _, d := range taken {
				sending.Go(func() {
					defer func() { free <- struct{}{} }()
					r.attempt(ctx, e, d)
				})
			}
			if err != nil || len(taken) == 0 {
				return err
			}
		}
	})
}

// take takes as many deliveries as can be sent now, and waits until one can be.
func (r *Runner) take(ctx context.Context, e *endpoint, free chan struct{}) ([]delivery, error) {
	slots := 0
	select {
	case <-free:
		slots++
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for more := true; more; {
		select {
		case <-free:
			slots++
		default:
			more = false
		}
	}
	taken, err := r.claim(ctx, e.Name, slots)
	for range slots - len(taken) {
		free <- struct{}{}
	}
	return taken, err
}

func (r *Runner) claim(ctx context.Context, endpoint string, most int) (taken []delivery, err error) {
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	err = r.db.Read(ctx, func(rows pgx.Rows) error {
		var d delivery
		taken = nil
		_, err := pgx.ForEachRow(rows, []any{&d.id, (*[16]byte)(&d.event), &d.kind, &d.at, &d.facts, &d.attempts, &d.now}, func() error {
			taken = append(taken, d)
			d.facts = nil
			return nil
		})
		return err
	}, claimQuery, endpoint, most, lease.Seconds())
	if err != nil {
		return nil, err // those that were taken are taken over
	}
	return taken, nil
}

// attempt delivers once, and notes what became of it also where ctx has ended meanwhile.
func (r *Runner) attempt(ctx context.Context, e *endpoint, d delivery) {
	err := e.send(ctx, d)
	last := d.attempts >= mostAttempts
	query, args := deliveredQuery, []any{d.id, d.attempts}
	switch {
	case err != nil && ctx.Err() != nil:
		query = releaseQuery
	case err != nil:
		query, args = failedQuery, append(args, err.Error(), jitter(pause(d.attempts)).Seconds(), last)
		fallthrough
	default:
		r.observer.Attempted(e.Name, err, err != nil && last)
	}
	if err != nil && last {
		r.log.ErrorContext(ctx, "an event could not be delivered for a day: it is kept with the dead ones", "endpoint", e.Name, "event", d.event, "type", d.kind, "error", err)
	}
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if _, err := r.db.Exec(finish, query, args...); err != nil {
		r.log.WarnContext(ctx, "cannot record the outcome of a delivery: it is repeated", "endpoint", e.Name, "event", d.event, "error", err)
	}
	e.wake() // the session's next one may be due
}

// pause is the pause after a failed attempt.
func pause(attempt int) time.Duration {
	if doublings := attempt - 1; doublings < 10 { // the tenth is over an hour
		return min(lastPause, firstPause<<doublings)
	}
	return lastPause
}

// jitter makes a pause up to a fifth longer or shorter: what failed together is not tried
// together again.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.4*float64(d)) //nolint:gosec // no secret depends on it
}

const (
	forgetInterval = 10 * time.Minute
	forgetBatch    = 10_000
	// keepDead is for how long a delivery is kept that nobody takes: a dead one, and one to
	// an endpoint that is no longer there.
	keepDead = 14 * 24 * time.Hour
)

// forgetQuery is in the order in which they were made.
const forgetQuery = `
DELETE FROM "sessionStoreDelivery" WHERE "madeAt" < now() - $1 * interval '1 s'
  AND "id" = ANY (ARRAY(SELECT "id" FROM "sessionStoreDelivery" ORDER BY "id" LIMIT $2))`

// forget removes what is kept no longer.
func (r *Runner) forget(ctx context.Context) error {
	_, err := r.db.Exec(ctx, forgetQuery, pgvalue.Seconds(keepDead), forgetBatch)
	return err
}
