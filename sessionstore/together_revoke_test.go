package sessionstore_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// causeOfCall is the cause that the call with a number gives.
func causeOfCall(i int) sessionstore.Cause {
	return sessionstore.Cause{Reason: sessionstore.ReasonOperator, By: fmt.Sprint("operator ", i)}
}

// Many sessions end in one transaction, of which verifiers are notified once, each for its
// own cause. A call's refusal affects only that call.
func TestRevokingTogether(t *testing.T) {
	t.Parallel()
	const kinds, each = 6, 20
	counted := &revocationCounter{}
	cfg := config()
	cfg.Observers = []sessionstore.Observer{counted}
	k := setupWith(t, cfg)
	heard := k.listen(t)

	var ids []uuid.UUID
	var pairs []sessionstore.TokenPair
	for i := range kinds * each {
		session, pair := k.create(t, sessionstore.CreateParams{Subject: fmt.Sprint("user-", i)})
		ids, pairs = append(ids, session.ID), append(pairs, pair)
		if i%kinds == 4 {
			if err := k.Invalidate(t.Context(), session.ID, sessionstore.SignedOut(session.ID)); err != nil {
				t.Fatal(err)
			}
		}
	}
	before, endedBefore := heard(), counted.n.Load()
	k.atOnce(t, len(ids), func(i int) error {
		var err, want error
		switch i % kinds {
		default:
			err = k.Invalidate(t.Context(), ids[i], causeOfCall(i))
		case 1:
			err = k.InvalidateOwn(t.Context(), fmt.Sprint("user-", i), ids[i], causeOfCall(i))
		case 2:
			err, want = k.InvalidateOwn(t.Context(), "someone else", ids[i], causeOfCall(i)), sessionstore.ErrNotFound
		case 3:
			err, want = k.Invalidate(t.Context(), uuid.New(), causeOfCall(i)), sessionstore.ErrNotFound
		case 5: // of the same session as the first kind
			err = k.Invalidate(t.Context(), ids[i-5], causeOfCall(i))
		}
		if !errors.Is(err, want) {
			return err
		}
		return nil
	})
	if n := heard() - before; n != 1 {
		t.Errorf("verifiers were notified %d times", n)
	}
	if n := counted.n.Load() - endedBefore; n != 2*each {
		t.Errorf("observers were notified of %d sessions, not of %d", n, 2*each)
	}
	for i, id := range ids {
		session, err := k.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		want := sessionstore.Cause{}
		switch i % kinds {
		case 0:
			if want = causeOfCall(i); session.Ended.Cause == causeOfCall(i+5) {
				want = causeOfCall(i + 5)
			}
		case 1:
			want = causeOfCall(i)
		case 4:
			want = sessionstore.SignedOut(id)
		}
		if diff := cmp.Diff(want, session.Ended.Cause); diff != "" {
			t.Errorf("%d (-want +got):\n%s", i, diff)
		}
		_, err = k.RefreshTokens(t.Context(), string(pairs[i].RefreshToken), sessionstore.Client{})
		if hasEnded := want != (sessionstore.Cause{}); hasEnded != errors.Is(err, sessionstore.ErrEnded) || !hasEnded && err != nil {
			t.Errorf("%d: a refresh: %v", i, err)
		}
	}
}

// Observers learn who acted in a session that is ended, alone or with others, even
// where its claims are of more than who acts.
func TestActorOfARevocation(t *testing.T) {
	t.Parallel()
	cfg := config()
	results := make(chan sessionstore.Result, 16)
	cfg.Observers = []sessionstore.Observer{resultsTo{results}}
	k := setupWith(t, cfg)
	actor := &tokens.Actor{Subject: "support-7", Actor: &tokens.Actor{Subject: "bot", Issuer: "https://staff.example.com"}}
	for _, together := range []bool{false, true} {
		want := map[uuid.UUID]*tokens.Actor{}
		for _, params := range []sessionstore.CreateParams{
			{},
			{Claims: []byte(`{"role":"editor"}`)},
			{Cookie: "session"},
			{Actor: actor},
			{Actor: actor, Authentication: &tokens.Authentication{ACR: "gold"}, Cookie: "session", Claims: []byte(`{"note":"a\nb"}`)},
		} {
			session, _ := k.create(t, params)
			<-results
			want[session.ID] = params.Actor
		}
		ids := slices.Collect(maps.Keys(want))
		end := func(i int) error { return k.Invalidate(t.Context(), ids[i]) }
		if together {
			k.atOnce(t, len(ids), end)
		} else {
			for i := range ids {
				if err := end(i); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range ids {
			r := <-results
			if diff := cmp.Diff(want[r.Changed], r.Actor); diff != "" || r.Operation != sessionstore.OperationRevoke {
				t.Errorf("together %v, %s (-want +got):\n%s", together, r.Operation, diff)
			}
		}
		if err := k.Invalidate(t.Context(), ids[0]); err != nil { // again: nothing has ended
			t.Fatal(err)
		}
		if r := <-results; r.Actor != nil {
			t.Errorf("%+v", r)
		}
	}
}

// listen returns how many notifications of revocations there have been.
func (k kit) listen(t *testing.T) (heard func() int) {
	t.Helper()
	conn, err := k.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Release)
	if _, err := conn.Exec(t.Context(), `LISTEN latchkey_revoked`); err != nil {
		t.Fatal(err)
	}
	n := 0
	return func() int {
		t.Helper()
		k.exec(t, `SELECT pg_notify('latchkey_revoked', 'the last')`)
		for {
			notification, err := conn.Conn().WaitForNotification(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if notification.Payload == "the last" {
				return n
			}
			n++
		}
	}
}

// A revocation whose arguments the database refuses fails alone.
func TestARevocationThatIsRefusedFailsAlone(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const n = 20
	var ids []uuid.UUID
	for range n {
		session, _ := k.create(t, sessionstore.CreateParams{})
		ids = append(ids, session.ID)
	}
	k.atOnce(t, n, func(i int) error {
		if i > 0 {
			return k.Invalidate(t.Context(), ids[i])
		}
		if err := k.InvalidateOwn(t.Context(), "\xff", ids[i]); !errors.Is(err, sessionstore.ErrUnavailable) {
			t.Errorf("a subject that is not text: %v", err)
		}
		return nil
	})
	if n := k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "revokedAt" IS NULL`); n != 1 {
		t.Errorf("%d sessions live, not the one of the call that failed", n)
	}
}
