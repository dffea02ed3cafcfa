package events_test

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// An event that an endpoint did not accept for a day is kept, delays nothing else,
// and is delivered on request.
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
	k.await(t, `SELECT count(*) = 1 FROM "sessionStoreDelivery"`) // what was taken is forgotten a moment after its answer

	status, err = queue.Status(t.Context())
	if err != nil || status.Of("receiver").Dead != 1 || status.Of("receiver").Waiting != 0 || status.Of("another").Dead != 0 {
		t.Errorf("%+v, %v", status, err)
	}
	dead, err := queue.Dead(t.Context(), events.DeadParams{Endpoint: "receiver"}, 10)
	if err != nil || len(dead) != 1 {
		t.Fatalf("%+v, %v", dead, err)
	}
	if d := dead[0]; d.Type != events.TypeCreated || d.Session != id || d.Attempts != 34 || d.Error != "the endpoint answered 400" || d.DeadAt.Before(d.At) {
		t.Errorf("%+v", d)
	}
	healthy.Store(true)
	if n, err := queue.Resend(t.Context(), []int64{dead[0].ID}, "another"); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := queue.Resend(t.Context(), []int64{dead[0].ID, dead[0].ID + 1000}, ""); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if got := r.await(2); got[1].Type != events.TypeCreated {
		t.Errorf("%+v", got)
	}
	k.await(t, `SELECT count(*) = 0 FROM "sessionStoreDelivery"`)
}

// Dead deliveries are listed in pages, and sent again endpoint by endpoint.
func TestResendAll(t *testing.T) {
	t.Parallel()
	k := setup(t)
	queue := events.NewQueue(k.pool)
	k.exec(t, `INSERT INTO "sessionStoreDelivery" ("endpoint", "session", "event", "type", "at", "facts", "madeAt", "dueAt", "attempts", "deadAt")
		SELECT CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd' END, gen_random_uuid(), gen_random_uuid(), 'session.ended', now(), '{}', now() - interval '13 days', now(), 34, now()
		FROM generate_series(1, 2500) n`)
	var ids []int64
	for params := (events.DeadParams{Endpoint: "even"}); ; params.Before = ids[len(ids)-1] {
		page, err := queue.Dead(t.Context(), params, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, d := range page {
			ids = append(ids, d.ID)
		}
	}
	if len(ids) != 1250 || !slices.IsSortedFunc(ids, func(a, b int64) int { return int(b - a) }) {
		t.Errorf("%d deliveries, of 1250 in their order", len(ids))
	}
	if n, err := queue.Resend(t.Context(), nil, "even"); n != 1250 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	k.await(t, `SELECT bool_and(("deadAt" IS NULL) = ("endpoint" = 'even') AND ("attempts" = 0) = ("endpoint" = 'even') AND ("madeAt" > now() - interval '1 day') = ("endpoint" = 'even')) FROM "sessionStoreDelivery"`)
	if n, err := queue.Resend(t.Context(), nil, ""); n != 1250 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// Undeliverable events are not kept forever.
func TestOldDeliveriesAreForgotten(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.exec(t, `INSERT INTO "sessionStoreDelivery" ("endpoint", "session", "event", "type", "at", "facts", "madeAt", "dueAt", "deadAt")
		SELECT 'gone', gen_random_uuid(), gen_random_uuid(), 'session.ended', now(), '{}', now() - n * interval '13 days', now(), CASE WHEN n = 2 THEN now() END FROM generate_series(1, 2) n`)
	k.run(t, endpointOf("receiver", "http://localhost:1"))
	k.await(t, `SELECT count(*) = 1 AND count("deadAt") = 0 FROM "sessionStoreDelivery"`)
}

// Deliveries to an endpoint that no longer exists are given up visibly: a later endpoint of the
// same name is not sent old events, unless requested.
func TestEndpointThatIsGone(t *testing.T) {
	t.Parallel()
	k, r := setup(t), newReceiver(t)
	k.exec(t, `INSERT INTO "sessionStoreDelivery" ("endpoint", "session", "event", "type", "at", "facts", "madeAt", "dueAt")
		SELECT 'gone', gen_random_uuid(), gen_random_uuid(), 'session.ended', now(), '{}', now() - n * interval '40 minutes', now() - n * interval '40 minutes' FROM generate_series(1, 2) n`)
	stop := k.run(t, endpointOf("receiver", "http://localhost:1"))
	k.await(t, `SELECT count(*) = 2 AND count("deadAt") = 1 FROM "sessionStoreDelivery"`) // the other may be for a replica that is about to come
	stop()
	queue := events.NewQueue(k.pool)
	dead, err := queue.Dead(t.Context(), events.DeadParams{}, 10)
	if err != nil || len(dead) != 1 || dead[0].Error != "there is no endpoint with this name any more" {
		t.Fatalf("%+v, %v", dead, err)
	}
	k.run(t, endpointOf("gone", r.URL))
	r.await(1)
	k.await(t, `SELECT count(*) = 1 AND count("deadAt") = 1 FROM "sessionStoreDelivery"`)
	if n, err := queue.Resend(t.Context(), []int64{dead[0].ID}, ""); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	r.await(2)
}

// Deliveries that a database clock a day ahead had postponed are made once it is right, and those that wait for their
// next attempt continue to wait.
func TestClockThatWasAhead(t *testing.T) {
	t.Parallel()
	k, r := setup(t), newReceiver(t)
	k.exec(t, `INSERT INTO "sessionStoreDelivery" ("endpoint", "session", "event", "type", "at", "facts", "madeAt", "dueAt")
		SELECT 'receiver', gen_random_uuid(), gen_random_uuid(), 'session.ended', now(), '{}', now(), now() + after::interval FROM unnest(ARRAY['1 day', '70 minutes']) after`)
	k.run(t, endpointOf("receiver", r.URL))
	r.await(1)
	k.await(t, `SELECT count(*) = 1 AND bool_and("dueAt" > now() + interval '1 hour') FROM "sessionStoreDelivery"`)
}
