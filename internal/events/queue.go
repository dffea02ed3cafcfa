package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/sessionid"
)

// Queue describes the pending deliveries, of one database or of several.
type Queue struct{ parts []part }

// part is the queue of one database.
type part struct {
	number int
	db     isolation.Pool
}

// NewQueue returns the queue in the database that the pool leads to.
func NewQueue(pool *pgxpool.Pool) Queue { return Queue{}.With(0, pool) }

// With returns the queue with that of another shard. The ids of deliveries are those that
// [sessionid.Row] makes.
func (q Queue) With(shard int, pool *pgxpool.Pool) Queue {
	return Queue{append(slices.Clip(q.parts), part{shard, isolation.Pool{Pool: pool}})}
}

// own returns the ids in the part's database of those that are of it.
func (p part) own(ids []int64) []int64 {
	own := make([]int64, 0, len(ids))
	for _, number := range ids {
		if shard, id := sessionid.OfRow(number); shard == p.number {
			own = append(own, id)
		}
	}
	return own
}

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

// Status returns how far deliveries are to all endpoints that have any. Of several databases those
// count that answer.
func (q Queue) Status(ctx context.Context) (all Status, err error) {
	parts, errs := make([]Status, len(q.parts)), make([]error, len(q.parts))
	var asked sync.WaitGroup
	for i, p := range q.parts {
		asked.Go(func() { parts[i], errs[i] = p.status(ctx) })
	}
	asked.Wait()
	if !slices.Contains(errs, nil) {
		return Status{}, errors.Join(errs...)
	}
	for _, status := range parts {
		all.Behind = max(all.Behind, status.Behind)
		for _, e := range status.Endpoints {
			all.add(e)
		}
	}
	return all, nil
}

// add adds what another database has for an endpoint.
func (s *Status) add(more EndpointStatus) {
	i := slices.IndexFunc(s.Endpoints, func(e EndpointStatus) bool { return e.Name == more.Name })
	if i < 0 {
		s.Endpoints = append(s.Endpoints, more)
		return
	}
	e := &s.Endpoints[i]
	e.Waiting, e.Dead, e.Oldest = e.Waiting+more.Waiting, e.Dead+more.Dead, max(e.Oldest, more.Oldest)
}

func (p part) status(ctx context.Context) (status Status, err error) {
	rows, _ := p.db.Query(ctx, statusQuery) // rows have its error
	var e EndpointStatus
	var behind *time.Duration
	_, err = pgx.ForEachRow(rows, []any{&e.Name, &e.Waiting, &e.Oldest, &e.Dead, &behind}, func() error {
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
