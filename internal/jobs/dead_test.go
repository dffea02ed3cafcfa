package jobs_test

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// Jobs that were given up are listed, and retried on request; others are left alone.
func TestDead(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	runner, err := jobs.New(jobs.Config{Pool: pool, Logger: slog.New(slog.DiscardHandler), Sessions: newSessions()})
	if err != nil {
		t.Fatal(err)
	}
	const insert = `INSERT INTO latchkey_river.river_job ("kind", "args", "queue", "state", "max_attempts", "attempt", "finalized_at")
		VALUES ('leak_webhook', '{}', 'leak_webhooks', $1, 34, 34, now()) RETURNING "id"`
	var dead, done int64
	for state, id := range map[string]*int64{"discarded": &dead, "completed": &done} {
		if err := pool.QueryRow(t.Context(), insert, state).Scan(id); err != nil {
			t.Fatal(err)
		}
	}
	list, err := runner.Dead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].ID != dead || list[0].Kind != "leak_webhook" || list[0].Attempts != 34 || list[0].At.IsZero() {
		t.Errorf("%+v", list)
	}
	if err := runner.SendAgain(t.Context(), dead); err != nil {
		t.Fatal(err)
	}
	var state string
	if err := pool.QueryRow(t.Context(), `SELECT "state" FROM latchkey_river.river_job WHERE "id" = $1`, dead).Scan(&state); err != nil || state != "available" {
		t.Errorf("sent again, it is %s, %v", state, err)
	}
	for _, id := range []int64{dead, done, dead + done + 1} {
		if err := runner.SendAgain(t.Context(), id); !errors.Is(err, jobs.ErrNotDead) {
			t.Errorf("job %d: %v", id, err)
		}
	}
	if list, err := runner.Dead(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// A job that runs is listed with when it began and where, by any replica; it is not once it has ended.
func TestRunning(t *testing.T) {
	t.Parallel()
	s := setup(t)
	observer, err := jobs.New(jobs.Config{Pool: s.pool, Logger: slog.New(slog.DiscardHandler), Sessions: newSessions()})
	if err != nil {
		t.Fatal(err)
	}
	running := func() []jobs.Running {
		list, err := observer.Running(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if list := running(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	s.sessions.block()
	replica := s.run(longPeriod)
	defer replica.stop()
	s.awaitRuns(1)
	if list := running(); len(list) != 1 || list[0].Kind != "session_cleanup" || list[0].Since.IsZero() || list[0].Attempt != 1 || list[0].By == "" || list[0].ID == 0 {
		t.Errorf("%+v", list)
	}
	s.sessions.unblock()
	s.awaitState("completed")
	if list := running(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}
