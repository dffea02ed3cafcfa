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

// Sessions are revoked anew in batches, and again until all have succeeded: then no more.
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
	r.memory.see(state{epoch: "a", snapshot: "1:1:"})
	ctx, cancel := context.WithCancel(t.Context())
	doubted, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		r.revokeAnew(ctx, doubted)
	}()
	r.memory.see(state{epoch: "b", snapshot: "1:1:"})
	doubted <- struct{}{}
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Error("not all were revoked anew")
	}
	for began := time.Now(); time.Since(began) < 2*time.Minute; time.Sleep(time.Millisecond) {
		if sessions, _ := r.memory.doubted(); len(sessions) == 0 {
			break
		}
	}
	cancel()
	<-ended
	if sessions, _ := r.memory.doubted(); len(sessions) > 0 {
		t.Errorf("%d sessions are still doubted", len(sessions))
	}
	text := log.String()
	if strings.Count(text, "it is away") != 1 || !strings.Contains(text, "sessions=1010") {
		t.Errorf("the log has:\n%s", text)
	}
}
