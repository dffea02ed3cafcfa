package memstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/memstore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	named := tokens.Config{Issuer: memstore.DefaultIssuer, Audience: memstore.DefaultAudience}
	for _, c := range []struct {
		says string
		cfg  sessionstore.Config
	}{
		{"are for sessions in PostgreSQL: leave them out", sessionstore.Config{Tokens: named, Direct: new(pgxpool.Pool)}},
		{"are for sessions in PostgreSQL: leave them out", sessionstore.Config{Tokens: named, CompasSigningKey: "key"}},
		{"must not be negative", sessionstore.Config{Tokens: named, Grace: -1}},
		{"SessionsPerSubject (-1)", sessionstore.Config{Tokens: named, SessionsPerSubject: -1}},
		{"must not be empty", sessionstore.Config{}},
	} {
		if _, err := memstore.New(testkeys.Ring(t), c.cfg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
	if _, err := memstore.New(nil, sessionstore.Config{Tokens: named}); err == nil {
		t.Error("a store without keys")
	}
}

// The configuration's functions may use the store, and so may a check: none of them is called
// under its lock.
func TestFunctionsMayUseTheStore(t *testing.T) {
	t.Parallel()
	var s *memstore.Store
	list := func() {
		if _, err := s.List(t.Context(), "ann", sessionstore.ListParams{}); err != nil {
			t.Error(err)
		}
	}
	asked := ""
	s = memstore.MustNew(sessionstore.Config{
		LifetimesFor: func(sessionstore.CreateParams) sessionstore.Lifetimes { list(); return sessionstore.Lifetimes{} },
		ClaimsFor: func(_ context.Context, params sessionstore.CreateParams) ([]byte, error) {
			list()
			asked = params.Subject
			return []byte(`{"role":"editor"}`), nil
		},
	})
	first, _, err := s.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	asked = ""
	session, pair, err := s.Replace(t.Context(), sessionstore.Replaced{SessionID: first.ID}, sessionstore.CreateParams{})
	if err != nil || asked != "ann" || string(session.Claims) != `{"role":"editor"}` {
		t.Errorf("ClaimsFor was asked about %q, the claims are %s, %v", asked, session.Claims, err)
	}
	if _, _, err := s.GetWith(t.Context(), string(pair.AccessToken), sessionstore.GetOptions{Check: func(tokens.Claims) error { list(); return nil }}); err != nil {
		t.Error(err)
	}
}

// In a bubble no clock has to be given.
func TestInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.MustNew(sessionstore.Config{})
		session, pair, err := s.Create(t.Context(), sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{RefreshToken: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Get(t.Context(), string(pair.AccessToken)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, _, err := s.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrEnded) {
			t.Errorf("the access token after an hour: %v", err)
		}
		if got, err := s.Load(t.Context(), session.ID); err != nil || got.Ended.Reason != sessionstore.ReasonIdle {
			t.Errorf("after an hour: %+v, %v", got.Ended, err)
		}
	})
}
