package events_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// What an endpoint did not take for a day is kept, keeps nothing else waiting, and is
// delivered when somebody wants it to be.
func TestDeadDeliveries(t *testing.T) {
	t.Parallel()
	k, r := setup(t), newReceiver(t)
	var healthy atomic.Bool
	r.answer = func(e told) int {
		if e.Type == events.TypeCreated && !healthy.Load() {
			return http.StatusBadRequest
		}
		return http.StatusOK
	}
	k.run(t, endpointOf("receiver", r.URL))
	id := k.create(t, sessionstore.CreateParams{})
	k.await(t, `SELECT count(*) = 1 FROM "sessionStoreDelivery" WHERE "lastError" IS NOT NULL`)
	k.end(t, id)
	k.await(t, `SELECT count(*) = 2 FROM "sessionStoreDelivery"`)
	queue := events.NewQueue(k.pool)
	status, err := queue.Status(t.Context())
	if err != nil || len(status.Endpoints) != 1 || status.Endpoints[0].Name != "receiver" || status.Endpoints[0].Waiting != 2 || status.Endpoints[0].Oldest <= 0 {
		t.Errorf("%+v, %v", status, err)
	}
	k.exec(t, `UPDATE "sessionStoreDelivery" SET "attempts" = 33, "dueAt" = now() WHERE "type" = 'session.created'`)
	k.await(t, `SELECT count(*) = 1 FROM "sessionStoreDelivery" WHERE "deadAt" IS NOT NULL`)
	if got := r.await(1); got[0].Type != events.TypeEnded {
		t.Errorf("%+v", got)
	}

	status, err = queue.Status(t.Context())
	if err != nil || status.Of("receiver").Dead != 1 || status.Of("receiver").Waiting != 0 || status.Of("another").Dead != 0 {
		t.Errorf("%+v, %v", status, err)
	}
	healthy.Store(true)
	// As docs/events.md has it.
	k.exec(t, `UPDATE "sessionStoreDelivery" SET "deadAt" = NULL, "attempts" = 0, "dueAt" = now(), "madeAt" = now() WHERE "deadAt" IS NOT NULL AND "endpoint" = 'receiver'`)
	if got := r.await(2); got[1].Type != events.TypeCreated {
		t.Errorf("%+v", got)
	}
	k.await(t, `SELECT count(*) = 0 FROM "sessionStoreDelivery"`)
}

// Deliveries that nobody takes are not kept for ever.
func TestOldDeliveriesAreForgotten(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.exec(t, `INSERT INTO "sessionStoreDelivery" ("endpoint", "session", "event", "type", "at", "facts", "madeAt", "dueAt", "deadAt")
		SELECT 'gone', gen_random_uuid(), gen_random_uuid(), 'session.ended', now(), '{}', now() - n * interval '13 days', now(), CASE WHEN n = 2 THEN now() END FROM generate_series(1, 2) n`)
	k.run(t, endpointOf("receiver", "http://localhost:1"))
	k.await(t, `SELECT count(*) = 1 AND count("deadAt") = 0 FROM "sessionStoreDelivery"`)
}
