package sessionstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/revocations"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Several replicas repeat the revocations that the database has lost. Each session ends
// once, as it had ended; those that have ended since, and all others, are not changed.
func TestRevokeAnew(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const n, replicas = 30, 4
	pairs := map[uuid.UUID]sessionstore.TokenPair{}
	for range n {
		session, pair := k.create(t, sessionstore.CreateParams{})
		pairs[session.ID] = pair
	}
	unrecorded, _ := k.create(t, sessionstore.CreateParams{})
	ended, _ := k.create(t, sessionstore.CreateParams{})
	other, _ := k.create(t, sessionstore.CreateParams{})
	at := k.databaseNow(t).Add(time.Second) // no token is made after it
	lost := []revocations.Ended{
		{ID: uuid.New(), At: at, Reason: "backend"}, // it was created in the lag, too
		{ID: unrecorded.ID, At: at}, {ID: ended.ID, At: at, Reason: "operator"},
	}
	for id := range pairs {
		lost = append(lost, revocations.Ended{ID: id, At: at, Reason: "operator", By: "ann@example"})
	}
	if err := k.Invalidate(t.Context(), ended.ID); err != nil {
		t.Fatal(err)
	}

	revoked, errs := make([]int64, replicas), make([]error, replicas)
	together(replicas, func(i int) {
		conn, err := k.pool.Acquire(t.Context())
		if err != nil {
			errs[i] = err
			return
		}
		defer conn.Release()
		revoked[i], errs[i] = sessionstore.RevokeAnew(t.Context(), conn.Conn(), lost)
	})
	var sum int64
	for _, r := range revoked {
		sum += r
	}
	if err := errors.Join(errs...); err != nil || sum != n+1 {
		t.Fatalf("%d sessions were revoked again, want %d: %v", sum, n+1, err)
	}
	for id, pair := range pairs {
		session, err := k.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		want := sessionstore.Ending{Cause: sessionstore.Cause{Reason: sessionstore.ReasonOperator, By: "ann@example"}, At: at}
		if diff := cmp.Diff(want, session.Ended); diff != "" {
			t.Errorf("ended (-want +got): %s", diff)
		}
		if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
			t.Errorf("a refresh: %v", err)
		}
		if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrEnded) {
			t.Errorf("a strict check: %v", err)
		}
	}
	k.wantEnded(t, unrecorded.ID, sessionstore.Cause{Reason: sessionstore.ReasonNotRecorded})
	k.wantEnded(t, ended.ID, sessionstore.Cause{Reason: sessionstore.ReasonBackend})
	if session, err := k.Load(t.Context(), other.ID); err != nil || !session.Ended.At.IsZero() {
		t.Errorf("another session: %+v, %v", session.Ended, err)
	}
}

// databaseNow is the database's time, as it is stored.
func (k kit) databaseNow(t *testing.T) (now time.Time) {
	t.Helper()
	if err := k.pool.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(&now); err != nil {
		t.Fatal(err)
	}
	return now
}
