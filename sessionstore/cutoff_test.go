package sessionstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// An interrupted sign-out everywhere keeps what it has done, and continues from there
// when it is sent again: together they end each session once, and count the live ones.
func TestSignOutThatIsCutOff(t *testing.T) {
	t.Parallel()
	const expired, live = 200, 550
	for name, cut := range map[string]struct {
		off  func(t *testing.T, c *cutOff)
		want error
	}{
		"the client goes":   {func(_ *testing.T, c *cutOff) { c.hangUp() }, context.Canceled},
		"a deadline passes": {func(_ *testing.T, c *cutOff) { close(c.over) }, context.DeadlineExceeded},
		"the replica is killed": {func(t *testing.T, c *cutOff) { // PostgreSQL sees its connection end
			t.Helper()
			c.kit.exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		}, sessionstore.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t)
			k.fill(t, "ann", expired, live)
			last := k.holdLast(t, "ann")
			ctx, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			over := make(chan struct{})
			if errors.Is(cut.want, context.DeadlineExceeded) {
				ctx = timed{ctx, over}
			}
			type answer struct {
				n   int64
				err error
			}
			answered := make(chan answer, 1)
			replica := k.onPool(t, 2, config())
			go func() {
				n, err := replica.InvalidateSubject(ctx, "ann", uuid.Nil)
				answered <- answer{n, err}
			}()
			revoked := func() int { return k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "revokedAt" IS NOT NULL`) }
			k.await(t, "all batches but the last", func() bool { return revoked() == 700 })
			k.awaitWaiting(t, 1)
			cut.off(t, &cutOff{kit: k, hangUp: hangUp, over: over})
			first := <-answered
			if !errors.Is(first.err, sessionstore.ErrUnavailable) || !errors.Is(first.err, cut.want) {
				t.Errorf("it was answered with %v", first.err)
			}
			k.awaitWaiting(t, 0) // its last batch is undone, so that what it says can be compared
			if done := revoked(); done != 700 || first.n != int64(done-expired) {
				t.Errorf("it says that it ended %d live sessions; %d are revoked, %d of them had expired", first.n, done, expired)
			}
			before := k.revocations(t)
			if err := last.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}

			other := k.onPool(t, 2, config()) // the next request comes to another replica
			second, err := other.InvalidateSubject(t.Context(), "ann", uuid.Nil)
			if err != nil || first.n+second != live {
				t.Errorf("it ended %d and %d sessions, want %d together, %v", first.n, second, live, err)
			}
			for id, at := range k.revocations(t) {
				if was, ok := before[id]; ok && !was.Equal(at) {
					t.Errorf("session %v was revoked again", id)
				}
			}
			if n := k.count(t, liveQuery); n != 0 {
				t.Errorf("%d are left", n)
			}
			if n, err := k.InvalidateSubject(t.Context(), "ann", uuid.Nil); n != 0 || err != nil {
				t.Errorf("once more: %d, %v", n, err)
			}
		})
	}
}

// cutOff is what a sign-out can be cut off with.
type cutOff struct {
	kit    kit
	hangUp func()
	over   chan struct{} // closed when the deadline passes
}

// timed is a context whose deadline passes when the channel is closed: however slow the machine is, not before a test has
// come to that.
type timed struct {
	context.Context //nolint:containedctx // it is one

	over <-chan struct{}
}

func (c timed) Done() <-chan struct{} { return c.over }

func (c timed) Err() error {
	select {
	case <-c.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// holdLast locks the subject's last session until the transaction ends.
func (k kit) holdLast(t *testing.T, subject string) pgx.Tx {
	t.Helper()
	tx, err := k.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	if _, err := tx.Exec(t.Context(), `SELECT FROM "sessionStore" WHERE "subject" = $1 ORDER BY "id" DESC LIMIT 1 FOR NO KEY UPDATE`, subject); err != nil {
		t.Fatal(err)
	}
	return tx
}

// revocations are the times at which sessions were revoked.
func (k kit) revocations(t *testing.T) map[uuid.UUID]time.Time {
	t.Helper()
	rows, _ := k.pool.Query(t.Context(), `SELECT "id", "revokedAt" FROM "sessionStore" WHERE "revokedAt" IS NOT NULL`)
	at := map[uuid.UUID]time.Time{}
	var id [16]byte
	var revoked time.Time
	if _, err := pgx.ForEachRow(rows, []any{&id, &revoked}, func() error { at[id] = revoked; return nil }); err != nil {
		t.Fatal(err)
	}
	return at
}
