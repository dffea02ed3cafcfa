package memstore_test

import (
	"errors"
	"testing"

	"github.com/latchkey-sessions/latchkey/memstore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// It does what the store in PostgreSQL does.
func TestSignOutAll(t *testing.T) {
	t.Parallel()
	s := memstore.MustNew(sessionstore.Config{})
	ctx := t.Context()
	session, pair, err := s.Create(ctx, sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	before, _, err := s.Create(ctx, sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	operator := sessionstore.Cause{Reason: sessionstore.ReasonOperator, By: "bob"}
	if err := s.Invalidate(ctx, before.ID, operator); err != nil {
		t.Fatal(err)
	}
	if err := s.SignOutAll(ctx, sessionstore.Cause{Reason: sessionstore.ReasonIdle}); !errors.Is(err, sessionstore.ErrInvalidArgument) {
		t.Errorf("for no reason of ours: %v", err)
	}
	if err := s.SignOutAll(ctx); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(ctx, string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("Get: %v", err)
	}
	if _, err := s.RefreshTokens(ctx, string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("RefreshTokens: %v", err)
	}
	for _, want := range []struct {
		session sessionstore.Session
		cause   sessionstore.Cause
	}{{session, sessionstore.Cause{Reason: sessionstore.ReasonAllSignedOut}}, {before, operator}} {
		if got, err := s.Load(ctx, want.session.ID); err != nil || got.Ended.Cause != want.cause {
			t.Errorf("%+v, want %+v: %v", got.Ended, want.cause, err)
		}
	}
	_, late, err := s.Create(ctx, sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(ctx, string(late.AccessToken)); err != nil {
		t.Errorf("a session from afterwards: %v", err)
	}
}
