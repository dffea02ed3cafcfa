package revocations

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// Sessions are revoked again in batches, and retried until all have succeeded, but no longer.
func TestRevokeAnewUntilItIsDone(t *testing.T) {
	t.Parallel()
	const n = anewBatch + 10
	var log bytes.Buffer
	var failed int
	revoked, done := map[uuid.UUID]bool{}, make(chan struct{})
	r := &Source{Pool: testdb.Pool(t), Logger: slog.New(slog.NewTextHandler(&log, nil))}
	r.RevokeAnew = func(_ context.Context, _ *pgx.Conn, sessions []Ended) (int64, error) {
		if len(sessions) > anewBatch {
			t.Errorf("a batch of %d", len(sessions))
		}
		if failed < 2 {
			failed++
			return 0, errors.New("it is away")
		}
		for _, s := range sessions {
			revoked[s.ID] = true
		}
		if len(revoked) == n {
			close(done)
		}
		return int64(len(sessions)), nil
	}
	for range n {
		r.memory.add(Ended{ID: uuid.New()})
	}
	r.memory.see(state{epoch: "a", snapshot: "1:1:"}, time.Now())
	ctx, cancel := context.WithCancel(t.Context())
	doubted, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		r.revokeAnew(ctx, doubted)
	}()
	r.memory.see(state{epoch: "b", snapshot: "1:1:"}, time.Now())
	doubted <- struct{}{}
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Error("not all were revoked again")
	}
	for began := time.Now(); time.Since(began) < 2*time.Minute; time.Sleep(time.Millisecond) {
		if what, _ := r.memory.doubted(); len(what.sessions) == 0 {
			break
		}
	}
	cancel()
	<-ended
	if what, _ := r.memory.doubted(); len(what.sessions) > 0 {
		t.Errorf("%d sessions are still doubted", len(what.sessions))
	}
	text := log.String()
	if strings.Count(text, "it is away") != 1 || !strings.Contains(text, "sessions=1010") {
		t.Errorf("the log has:\n%s", text)
	}
}

// A failure to note the clock does not keep sessions from ending again, and is retried.
func TestRevokeAnewWithoutTheClock(t *testing.T) {
	t.Parallel()
	r := &Source{Pool: testdb.Pool(t), Logger: slog.New(slog.DiscardHandler)}
	if _, err := r.Pool.Exec(t.Context(), `DROP TABLE "sessionStoreClock"`); err != nil {
		t.Fatal(err)
	}
	revoked := 0
	r.RevokeAnew = func(_ context.Context, _ *pgx.Conn, sessions []Ended) (int64, error) {
		revoked += len(sessions)
		return int64(len(sessions)), nil
	}
	err := r.revokeAll(t.Context(), forgettable{sessions: []Ended{{ID: uuid.New()}}, made: time.Now()})
	if err == nil || revoked != 1 {
		t.Errorf("%d sessions were revoked, and the error is %v, want 1 and that of the note", revoked, err)
	}
}

// Only a clock that has gone back is recorded, with the latest of the reported times, and none so late that revocations
// would be remembered forever.
func TestNoteClock(t *testing.T) {
	t.Parallel()
	conn, err := testdb.Pool(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	ask := func(query string) (ahead *time.Duration) {
		if err := conn.QueryRow(t.Context(), query).Scan(&ahead); err != nil {
			t.Fatal(err)
		}
		return ahead
	}
	for _, c := range []struct {
		name            string
		ahead, min, max time.Duration
	}{
		{"as far as clocks may differ", 0, 0, 0},
		{"a day", 24 * time.Hour, 24*time.Hour - time.Hour, 24 * time.Hour},
		{"less than before", 12 * time.Hour, 24*time.Hour - time.Hour, 24 * time.Hour},
		{"more", 30 * time.Hour, 30*time.Hour - time.Hour, 30 * time.Hour},
		{"a year", 365 * 24 * time.Hour, maxClockLead - time.Hour, maxClockLead},
	} {
		if err := noteClock(t.Context(), conn.Conn(), time.Now().Add(c.ahead)); err != nil {
			t.Fatal(err)
		}
		ahead := ask(`SELECT (SELECT "tokensMade" FROM "sessionStoreClock") - now()`)
		switch {
		case c.max == 0:
			if ahead != nil {
				t.Errorf("%s: %v is noted", c.name, *ahead)
			}
		case ahead == nil || *ahead < c.min || *ahead > c.max:
			t.Errorf("%s: %v is noted", c.name, ahead)
		}
	}
}
