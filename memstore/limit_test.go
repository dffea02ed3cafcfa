package memstore_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/memstore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func TestLimitEndsTheOldest(t *testing.T) {
	t.Parallel()
	s := memstore.MustNew(sessionstore.Config{SessionsPerSubject: 2})
	var ids []uuid.UUID
	for range 3 {
		session, _, err := s.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, session.ID)
	}
	oldest, err := s.Load(t.Context(), ids[0])
	if want := (sessionstore.Cause{Reason: sessionstore.ReasonLimit, By: ids[2].String()}); err != nil || oldest.Ended.Cause != want {
		t.Errorf("the oldest ended for %+v, %v; want %+v", oldest.Ended.Cause, err, want)
	}
	// The one that is replaced makes the room.
	if _, _, err := s.Replace(t.Context(), sessionstore.Replaced{SessionID: ids[2]}, sessionstore.CreateParams{}); err != nil {
		t.Fatal(err)
	}
	if kept, err := s.Load(t.Context(), ids[1]); err != nil || kept.Ended != (sessionstore.Ending{}) {
		t.Errorf("another one ended for a replacement: %+v, %v", kept.Ended, err)
	}
}

func TestLimitRefuses(t *testing.T) {
	t.Parallel()
	s := memstore.MustNew(sessionstore.Config{SessionsPerSubject: 1, SessionsPerSubjectAction: sessionstore.RefuseNew})
	first, _, err := s.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"}); !errors.Is(err, sessionstore.ErrTooManySessions) {
		t.Errorf("a second session: %v", err)
	}
	for range 2 { // without a subject there may be any number
		if _, _, err := s.Create(t.Context(), sessionstore.CreateParams{}); err != nil {
			t.Error(err)
		}
	}
	if err := s.Invalidate(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"}); err != nil {
		t.Errorf("a session after the one before has ended: %v", err)
	}
}
