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
	"github.com/latchkey-sessions/latchkey/internal/webhook"
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
		return nil, err // those that were taken are taken over
	}
	return taken, nil
}

// attempt delivers once, and notes what became of it even where ctx has ended meanwhile.
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

// jitter makes a pause up to a fifth longer or shorter: what failed together is not tried
// together again.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.4*float64(d)) //nolint:gosec // no secret depends on it
}

const (
	tidyInterval = 10 * time.Minute
	tidyBatch    = 10_000
	// keepDead is how long a delivery is kept that nobody takes.
	keepDead = 14 * 24 * time.Hour
	// abandonAfter is how long a delivery may be due to an endpoint that is not
	// there: while replicas are replaced by others with another file it may be.
	abandonAfter = time.Hour
	// farOff is further off than any delivery is put.
	farOff = 2 * webhook.LastPause
)

// abandonQuery gives up what is for an endpoint that is no longer there: the dead deliveries
// show it, and one that is there again later is not sent what is long past.
const abandonQuery = `
UPDATE "sessionStoreDelivery" SET "deadAt" = now(), "lastError" = 'there is no endpoint with this name any more'
WHERE "deadAt" IS NULL AND "id" = ANY (ARRAY(
  SELECT "id" FROM "sessionStoreDelivery"
  WHERE "deadAt" IS NULL AND "endpoint" <> ALL ($1::text[]) AND "dueAt" < now() - $2 * interval '1 s' ORDER BY "id" LIMIT $3 FOR UPDATE SKIP LOCKED))`

// nearerQuery is for when the database's clock was ahead, and was put right: what was due then is
// due now, and not only when that time comes.
const nearerQuery = `
UPDATE "sessionStoreDelivery" SET "dueAt" = now()
WHERE "deadAt" IS NULL AND "id" = ANY (ARRAY(
  SELECT "id" FROM "sessionStoreDelivery"
  WHERE "endpoint" = ANY ($1::text[]) AND "deadAt" IS NULL AND "dueAt" > now() + $2 * interval '1 s' LIMIT $3 FOR UPDATE SKIP LOCKED))`

// forgetQuery is in the order in which they were made.
const forgetQuery = `
DELETE FROM "sessionStoreDelivery" WHERE "madeAt" < now() - $1 * interval '1 s'
  AND "id" = ANY (ARRAY(SELECT "id" FROM "sessionStoreDelivery" ORDER BY "id" LIMIT $2))`

// tidy gives up what nobody will take, has what a wrong clock put off delivered, and removes what
// is kept no longer.
func (r *Runner) tidy(ctx context.Context) error {
	batch := &pgx.Batch{}
	batch.Queue(abandonQuery, r.Names(), pgvalue.Seconds(abandonAfter), tidyBatch)
	batch.Queue(nearerQuery, r.Names(), pgvalue.Seconds(farOff), tidyBatch)
	batch.Queue(forgetQuery, pgvalue.Seconds(keepDead), tidyBatch)
	return r.db.SendBatch(ctx, batch).Close()
}
