package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/sessionid"
)

// Dead is a delivery that is not retried automatically. Its JSON is that of the HTTP API.
type Dead struct {
	ID       int64  `json:"id"`
	Endpoint string `json:"endpoint"`
	// Event is its id, as receivers know it.
	Event   uuid.UUID `json:"event_id"`
	Type    Type      `json:"type"`
	Session uuid.UUID `json:"session_id"`
	// At is when it happened, DeadAt when it was given up.
	At       time.Time `json:"at"`
	DeadAt   time.Time `json:"dead_at"`
	Attempts int       `json:"attempts"`
	// Error is that of the last attempt.
	Error string `json:"error"`
}

// DeadParams select dead deliveries. Zero selects all.
type DeadParams struct {
	// Endpoint is their destination.
	Endpoint string
	// Before is an id; theirs are below it: the last one of the previous page.
	Before int64
}

const (
	deadQuery = `
SELECT "id", "endpoint", "event", "type", "session", "at", "deadAt", "attempts", COALESCE("lastError", '')
FROM "sessionStoreDelivery"
WHERE "deadAt" IS NOT NULL AND ($1 = '' OR "endpoint" = $1) AND ($2 = 0 OR "id" < $2::bigint) AND ` + primary.Only + `
ORDER BY "id" DESC LIMIT $3`

	// resendQuery does a part, so that no transaction is long: each continues below the last
	// one's lowest id. A delivery is kept as long as if it had just been made.
	resendQuery = `
UPDATE "sessionStoreDelivery" SET "deadAt" = NULL, "attempts" = 0, "dueAt" = now(), "madeAt" = now()
WHERE "deadAt" IS NOT NULL AND "id" = ANY (ARRAY(
  SELECT "id" FROM "sessionStoreDelivery"
  WHERE "deadAt" IS NOT NULL AND ($1::bigint[] IS NULL OR "id" = ANY ($1)) AND ($2 = '' OR "endpoint" = $2) AND ($3 = 0 OR "id" < $3::bigint)
  ORDER BY "id" DESC LIMIT $4))
RETURNING "id"`
)

// resentTogether limits a transaction.
const resentTogether = 1000

// Dead returns dead deliveries, at most as many as asked for: those of one database newest first, and
// of several those of the highest number first. It is complete, or an error.
func (q Queue) Dead(ctx context.Context, params DeadParams, most int) (dead []Dead, err error) {
	parts := slices.SortedFunc(slices.Values(q.parts), func(a, b part) int { return cmp.Compare(b.number, a.number) })
	for _, p := range parts {
		own := params
		switch shard, id := sessionid.OfRow(params.Before); {
		case params.Before == 0, p.number < shard:
			own.Before = 0
		case p.number > shard, id == 0:
			continue
		default:
			own.Before = id
		}
		if len(dead) == most {
			break
		}
		some, err := p.dead(ctx, own, most-len(dead))
		if err != nil {
			return nil, err
		}
		dead = append(dead, some...)
	}
	return dead, nil
}

func (p part) dead(ctx context.Context, params DeadParams, most int) ([]Dead, error) {
	var dead []Dead
	err := p.db.Read(ctx, func(rows pgx.Rows) (err error) {
		dead, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Dead, err error) {
			err = row.Scan(&d.ID, &d.Endpoint, (*[16]byte)(&d.Event), &d.Type, (*[16]byte)(&d.Session), &d.At, &d.DeadAt, &d.Attempts, &d.Error)
			d.ID = sessionid.Row(p.number, d.ID)
			return d, err
		})
		return err
	}, deadQuery, params.Endpoint, params.Before, most)
	if err != nil {
		return nil, fmt.Errorf("list the dead deliveries: %w", err)
	}
	return dead, nil
}

// Resend retries dead deliveries from now on, as if they had just been made, and returns how
// many: those with the ids, or all if these are nil, to an endpoint, or to all if it is empty.
// is empty. Others than dead ones are left alone. Where one of several databases fails, it is done
// in the others all the same.
func (q Queue) Resend(ctx context.Context, ids []int64, endpoint string) (n int64, err error) {
	var errs []error
	for _, p := range q.parts {
		own := ids
		if ids != nil {
			if own = p.own(ids); len(own) == 0 {
				continue
			}
		}
		some, err := p.resend(ctx, own, endpoint)
		n, errs = n+some, append(errs, err)
	}
	return n, errors.Join(errs...)
}

func (p part) resend(ctx context.Context, ids []int64, endpoint string) (n int64, err error) {
	for before := int64(0); ; {
		var again []int64
		err := p.db.Read(ctx, func(rows pgx.Rows) (err error) {
			again, err = pgx.CollectRows(rows, pgx.RowTo[int64])
			return err
		}, resendQuery, ids, endpoint, before, resentTogether)
		if err != nil {
			return n, fmt.Errorf("send dead deliveries again: %w", err)
		}
		n += int64(len(again))
		if len(again) < resentTogether {
			return n, nil
		}
		before = slices.Min(again)
	}
}
