package events_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// The deliveries of several databases are one list, each with a unique id that JavaScript represents exactly, and are
// sent again in the database that they are in.
func TestDeadDeliveriesOfShards(t *testing.T) {
	t.Parallel()
	const each = 3
	pools := map[int]*pgxpool.Pool{0: testdb.Pool(t), 1: testdb.Pool(t), 4095: testdb.Pool(t)}
	var queue events.Queue
	for number, pool := range pools {
		queue = queue.With(number, pool)
		if _, err := pool.Exec(t.Context(), `
INSERT INTO "sessionStoreDelivery" ("endpoint", "session", "event", "type", "at", "facts", "madeAt", "dueAt", "attempts", "deadAt")
SELECT 'crm', $1, gen_random_uuid(), 'session.ended', now(), '{}', now() - interval '1 hour' * $3::int, now(), 34, now() FROM generate_series(1, $2::int)`, uuid.New(), each, number%7+1); err != nil {
			t.Fatal(err)
		}
	}
	status, err := queue.Status(t.Context())
	if err != nil || len(status.Endpoints) != 1 || status.Of("crm").Dead != int64(len(pools)*each) {
		t.Errorf("%+v, %v", status, err)
	}
	var ids []int64
	for before, most := int64(0), 2; ; {
		page, err := queue.Dead(t.Context(), events.DeadParams{Before: before}, most)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, d := range page {
			ids = append(ids, d.ID)
		}
		before = ids[len(ids)-1]
	}
	const exact = 1<<53 - 1 // Number.MAX_SAFE_INTEGER
	if len(ids) != len(pools)*each || !slices.IsSortedFunc(ids, func(a, b int64) int { return int(b>>1 - a>>1) }) || ids[0] > exact || ids[len(ids)-1] != 1 {
		t.Errorf("the ids are %v", ids)
	}
	again := []int64{ids[0], ids[each], ids[len(ids)-1], 2<<41 | 1, -1}
	if n, err := queue.Resend(t.Context(), again, "crm"); n != 3 || err != nil {
		t.Errorf("sent again: %d, %v", n, err)
	}
	for number, pool := range pools {
		var waiting int
		if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM "sessionStoreDelivery" WHERE "deadAt" IS NULL`).Scan(&waiting); err != nil || waiting != 1 {
			t.Errorf("shard %d: %d are sent again, %v", number, waiting, err)
		}
	}
	if status, err = queue.Status(t.Context()); err != nil || status.Of("crm").Waiting != 3 || status.Of("crm").Oldest > time.Minute {
		t.Errorf("%+v, %v", status, err)
	}
	if n, err := queue.Resend(t.Context(), nil, ""); n != int64(len(pools)*each-3) || err != nil {
		t.Errorf("all sent again: %d, %v", n, err)
	}
}

// A database that does not answer hides no others' figures, and makes no list that looks whole.
func TestDeliveriesOfAShardThatIsDown(t *testing.T) {
	t.Parallel()
	down := testdb.NewServer(t)
	queue := events.NewQueue(testdb.Pool(t)).With(1, down.Pool())
	down.Stop()
	if _, err := queue.Status(t.Context()); err != nil {
		t.Errorf("status: %v", err)
	}
	if _, err := queue.Dead(t.Context(), events.DeadParams{}, 10); err == nil {
		t.Error("a list without those of the database that is down")
	}
	if _, err := queue.Resend(t.Context(), nil, ""); err == nil {
		t.Error("sent again without those of the database that is down")
	}
	if _, err := events.NewQueue(down.Pool()).Status(t.Context()); err == nil {
		t.Error("the figures of nobody")
	}
}
