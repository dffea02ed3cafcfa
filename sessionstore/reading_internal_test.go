package sessionstore

import (
	"context"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/groupcommit"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// PostgreSQL may refuse a statement's commit after it has given its rows, where the isolation
// level is higher than what statements are written for. It is sent again, and must ask for the
// same: for nothing, it would find that the session is not there.
func TestWhatWasAskedStays(t *testing.T) {
	t.Parallel()
	store, err := New(testdb.Pool(t), testkeys.Ring(t), Config{Tokens: tokens.Config{Issuer: "https://id.example.com", Audience: "api"}})
	if err != nil {
		t.Fatal(err)
	}
	on := newStatements(store.pool, store.cfg)
	session, pair, err := store.Create(t.Context(), CreateParams{})
	if err != nil {
		t.Fatal(err)
	}
	claims, err := store.VerifyToken(string(pair.AccessToken))
	if err != nil {
		t.Fatal(err)
	}
	for _, together := range []bool{false, true} {
		askedTwice(t, on.read, newReading(claims), together, func(r reading) bool { return r.found && r.session.ID == session.ID })
		askedTwice(t, on.load, newLoading(session.ID), together, func(l loading) bool { return l.found && l.session.ID == session.ID })
	}
}

// askedTwice sends a statement twice for the same calls, which must find the same each time.
func askedTwice[T any](t *testing.T, statement func(context.Context, []*groupcommit.Call[T]) error, of T, together bool, isFound func(T) bool) {
	t.Helper()
	all := []*groupcommit.Call[T]{{Of: of}}
	if together {
		all = append(all, &groupcommit.Call[T]{Of: of})
	}
	for n := range 2 {
		if err := statement(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			if !isFound(c.Of) {
				t.Errorf("%T, together %v, time %d: it is not found", of, together, n+1)
			}
		}
	}
}
