package events

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/webhook"
)

const (
	// finishTimeout limits recording the result of a delivery.
	finishTimeout = 5 * time.Second
	// lease is the time after which a delivery whose replica was killed is taken over.
	lease = sendTimeout + 2*finishTimeout
)

const (
	// claimQuery takes due deliveries, only the first one of each session. The order
	// makes the planner use the index.
	claimQuery = `
UPDATE "sessionStoreDelivery" d SET "attempts" = d."attempts" + 1, "dueAt" = now() + $3 * interval '1 s'
FROM (
  SELECT c."id" FROM "sessionStoreDelivery" c
  WHERE c."endpoint" = $1 AND c."deadAt" IS NULL AND c."dueAt" <= now() AND NOT EXISTS (
    SELECT FROM "sessionStoreDelivery" e WHERE e."endpoint" = $1 AND e."session" = c."session" AND e."id" < c."id" AND e."deadAt" IS NULL)
  ORDER BY c."dueAt", c."id" LIMIT $2 FOR UPDATE SKIP LOCKED
) c WHERE d."id" = c."id"
RETURNING d."id", d."event", d."type", d."at", d."facts", d."attempts", now()`

	// Each of these does nothing if another replica has taken over the delivery, since
	// "attempts" then differs. The session's later deliveries wait with it.

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

// deliver processes the endpoint's deliveries until ctx ends.
func (r *Runner) deliver(ctx context.Context, e *endpoint) {
	var sending sync.WaitGroup
	defer sending.Wait()
	free := make(chan struct{}, atOnce)
	for range atOnce {
		free <- struct{}{}
	}
	r.repeat(ctx, lookInterval, e.woken, "looking for deliveries", func(ctx context.Context) error {
		for e.client.Rests() == 0 {
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
		return nil
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
		return nil, err // those that were claimed are taken over later
	}
	return taken, nil
}

// attempt delivers once, and records the result even if ctx has ended meanwhile.
func (r *Runner) attempt(ctx context.Context, e *endpoint, d delivery) {
	err := e.send(ctx, d)
	last := d.attempts >= webhook.MostAttempts
	query, args := deliveredQuery, []any{d.id, d.attempts}
	switch {
	case err != nil && ctx.Err() != nil:
		query = releaseQuery
	case err != nil:
		query, args = failedQuery, append(args, err.Error(), max(jitter(webhook.Pause(d.attempts)), webhook.RetryAfter(err)).Seconds(), last)
		fallthrough
	default:
		r.observer.Attempted(e.Name, err, err != nil && last)
	}
	if err != nil && last {
		r.log.ErrorContext(ctx, "an event could not be delivered for a day: it is kept as a dead delivery", "endpoint", e.Name, "event", d.event, "type", d.kind, "error", err)
	}
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if _, err := r.db.Exec(finish, query, args...); err != nil {
		r.log.WarnContext(ctx, "the outcome of a delivery cannot be recorded: the delivery is repeated", "endpoint", e.Name, "event", d.event, "error", err)
	}
	e.wake() // the session's next one may be due
}

// jitter makes a pause up to a fifth longer or shorter, so that what failed together is
// not retried together.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.4*float64(d)) //nolint:gosec // no secret depends on it
}

const (
	tidyInterval = 10 * time.Minute
	tidyBatch    = 10_000
	// keepDead is how long an undeliverable delivery is kept.
	keepDead = 14 * 24 * time.Hour
	// abandonAfter is how long a delivery may be due to an unknown endpoint,
	// which may occur while replicas are replaced by others with another file.
	abandonAfter = time.Hour
	// farOff is further ahead than any delivery is scheduled.
	farOff = 2 * webhook.LastPause
)

// abandonQuery gives up deliveries to an endpoint that no longer exists: it then shows among
// the dead deliveries, and an endpoint that returns later is not sent what is long past.
const abandonQuery = `
UPDATE "sessionStoreDelivery" SET "deadAt" = now(), "lastError" = 'there is no endpoint with this name any more'
WHERE "deadAt" IS NULL AND "id" = ANY (ARRAY(
  SELECT "id" FROM "sessionStoreDelivery"
  WHERE "deadAt" IS NULL AND "endpoint" <> ALL ($1::text[]) AND "dueAt" < now() - $2 * interval '1 s' ORDER BY "id" LIMIT $3 FOR UPDATE SKIP LOCKED))`

// nearerQuery is for a database's clock that was ahead and was corrected: what was due by the
// wrong clock is due now, not only when that time comes.
const nearerQuery = `
UPDATE "sessionStoreDelivery" SET "dueAt" = now()
WHERE "deadAt" IS NULL AND "id" = ANY (ARRAY(
  SELECT "id" FROM "sessionStoreDelivery"
  WHERE "endpoint" = ANY ($1::text[]) AND "deadAt" IS NULL AND "dueAt" > now() + $2 * interval '1 s' LIMIT $3 FOR UPDATE SKIP LOCKED))`

// forgetQuery deletes in the order of creation.
const forgetQuery = `
DELETE FROM "sessionStoreDelivery" WHERE "madeAt" < now() - $1 * interval '1 s'
  AND "id" = ANY (ARRAY(SELECT "id" FROM "sessionStoreDelivery" ORDER BY "id" LIMIT $2))`

// tidy gives up deliveries that cannot be made, makes those due that a wrong clock postponed, and removes those that
// are no longer kept.
func (r *Runner) tidy(ctx context.Context) error {
	batch := &pgx.Batch{}
	batch.Queue(abandonQuery, r.Names(), pgvalue.Seconds(abandonAfter), tidyBatch)
	batch.Queue(nearerQuery, r.Names(), pgvalue.Seconds(farOff), tidyBatch)
	batch.Queue(forgetQuery, pgvalue.Seconds(keepDead), tidyBatch)
	return r.db.SendBatch(ctx, batch).Close()
}
