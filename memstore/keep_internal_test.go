package memstore

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// However many sessions come and end, no more are kept than twice the live ones plus a
// thousand.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var passed atomic.Int64
	began := time.Now()
	cfg := sessionstore.Config{}
	cfg.Tokens.Now = func() time.Time { return began.Add(time.Duration(passed.Load())) }
	s := MustNew(cfg)
	lasting, _, err := s.Create(t.Context(), sessionstore.CreateParams{Subject: "ann", IdempotencyKey: "first", Lifetimes: sessionstore.Lifetimes{RefreshToken: 10_000 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	put := func(i int, lifetimes sessionstore.Lifetimes) *row {
		t.Helper()
		request, err := s.core.Check(sessionstore.CreateParams{Subject: fmt.Sprint("user-", i%7), IdempotencyKey: fmt.Sprint(i), Lifetimes: lifetimes}, sessionstore.Replaced{})
		if err != nil {
			t.Fatal(err)
		}
		draft, err := s.core.Draft(t.Context(), request, sessionstore.Session{})
		if err != nil {
			t.Fatal(err)
		}
		made, _, err := s.put(request, draft, sessionstore.Session{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return &made
	}
	for i := range 5 * leastSweep {
		made := put(i, sessionstore.Lifetimes{RefreshToken: time.Hour})
		if i%2 == 0 {
			passed.Add(int64(time.Hour))
		} else if err := s.Invalidate(t.Context(), made.session.ID); err != nil {
			t.Fatal(err)
		}
		ofSubjects := 0
		for _, rows := range s.subjects {
			ofSubjects += len(rows)
		}
		if len(s.rows) > leastSweep+1 || len(s.keys) != len(s.rows) || ofSubjects != len(s.rows) {
			t.Fatalf("after %d: %d sessions are kept, with %d keys, %d of subjects", i, len(s.rows), len(s.keys), ofSubjects)
		}
	}
	if session, err := s.Load(t.Context(), lasting.ID); err != nil || session.Ended != (sessionstore.Ending{}) {
		t.Errorf("a session that lives: %+v, %v", session.Ended, err)
	}
	if page, err := s.List(t.Context(), "ann", sessionstore.ListParams{}); err != nil || len(page.Sessions) != 1 {
		t.Errorf("the list of its subject: %v, %v", page.Sessions, err)
	}
}
