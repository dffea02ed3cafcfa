package events

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/primary"
)

// Queue describes the pending deliveries.
type Queue struct{ db isolation.Pool }

// NewQueue returns the queue in the database that the pool leads to.
func NewQueue(pool *pgxpool.Pool) Queue { return Queue{isolation.Pool{Pool: pool}} }

// Status is the state of deliveries.
type Status struct {
	// Behind is how long ago events were last derived; zero if none ever were.
	Behind    time.Duration
	Endpoints []EndpointStatus
}

// EndpointStatus is the state of deliveries to one endpoint.
type EndpointStatus struct {
	Name string
	// Waiting is how many are pending, and Oldest how long the first of them has
	// waited.
	Waiting int64
	Oldest  time.Duration
	// Dead is how many are no longer retried.
	Dead int64
}

// Of returns the status of one endpoint, zero if it has no deliveries.
func (s Status) Of(name string) EndpointStatus {
	for _, e := range s.Endpoints {
		if e.Name == name {
			return e
		}
	}
	return EndpointStatus{Name: name}
}

const statusQuery = `
SELECT "endpoint", count(*) FILTER (WHERE "deadAt" IS NULL), COALESCE(now() - min("madeAt") FILTER (WHERE "deadAt" IS NULL), '0'), count("deadAt"), NULL::interval
FROM "sessionStoreDelivery" WHERE ` + primary.Only + ` GROUP BY "endpoint"
UNION ALL
SELECT '', 0, '0', 0, GREATEST(clock_timestamp() - "at", '0') FROM "sessionStoreEvents"
ORDER BY 1`

// Status returns the state of deliveries to all endpoints that have any.
func (q Queue) Status(ctx context.Context) (Status, error) {
	var status Status
	rows, _ := q.db.Query(ctx, statusQuery) // rows have its error
	var e EndpointStatus
	var behind *time.Duration
	_, err := pgx.ForEachRow(rows, []any{&e.Name, &e.Waiting, &e.Oldest, &e.Dead, &behind}, func() error {
		if behind != nil {
			status.Behind = *behind
			return nil
		}
		status.Endpoints = append(status.Endpoints, e)
		return nil
	})
	if err != nil {
		return Status{}, fmt.Errorf("read the deliveries of events: %w", err)
	}
	return status, nil
}
