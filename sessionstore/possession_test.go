package sessionstore_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

var (
	ownKey   = strings.Repeat("A", 43)
	otherKey = strings.Repeat("B", 42) + "A"
)

func (k kit) prove(t *testing.T, token tokens.Secret, key string) (sessionstore.Refreshed, error) {
	t.Helper()
	return k.RefreshTokensWithProof(t.Context(), string(token), key, sessionstore.Client{})
}

func (k kit) proven(t *testing.T, token tokens.Secret, want sessionstore.Outcome) sessionstore.TokenPair {
	t.Helper()
	got, err := k.prove(t, token, ownKey)
	if err != nil || got.Outcome != want || got.Pair.KeyThumbprint != ownKey {
		t.Fatalf("%v, bound to %q, %v; want %v", got.Outcome, got.Pair.KeyThumbprint, err, want)
	}
	claims, err := k.VerifyRefreshToken(string(got.Pair.RefreshToken))
	if err != nil || claims.KeyThumbprint != ownKey {
		t.Fatalf("the refresh token is bound to %q, %v", claims.KeyThumbprint, err)
	}
	return got.Pair
}

// Every case of the protocol on real rows: with the key as usual, without it never, for as long as the session lives.
func TestBoundPair(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, first := k.create(t, sessionstore.CreateParams{KeyThumbprint: ownKey})
	if first.KeyThumbprint != ownKey {
		t.Fatalf("bound to %q", first.KeyThumbprint)
	}
	row := func() string {
		var s string
		if err := k.pool.QueryRow(t.Context(), `SELECT r::text || s::text FROM "sessionStoreToken" r JOIN "sessionStore" s ON s."id" = r."session" WHERE s."id" = $1`, session.ID).Scan(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	thief := func(tokens ...tokens.Secret) {
		t.Helper()
		before := row()
		for _, token := range tokens {
			for _, key := range []string{"", otherKey} {
				if got, err := k.prove(t, token, key); !errors.Is(err, sessionstore.ErrNotProven) {
					t.Fatalf("with key %q: %v, %v", key, got.Outcome, err)
				}
			}
			if _, err := k.RefreshTokens(t.Context(), string(token), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrNotProven) {
				t.Fatal(err)
			}
		}
		if row() != before {
			t.Fatal("the thief has changed something")
		}
	}
	thief(first.RefreshToken)
	second := k.proven(t, first.RefreshToken, sessionstore.Rotated)
	thief(first.RefreshToken, second.RefreshToken)
	k.proven(t, first.RefreshToken, sessionstore.Raced)
	k.proven(t, second.RefreshToken, sessionstore.StillFresh)
	k.age(t, session.ID, time.Hour)
	thief(first.RefreshToken, second.RefreshToken)
	third := k.proven(t, second.RefreshToken, sessionstore.Rotated)
	k.age(t, session.ID, time.Hour)
	thief(first.RefreshToken, second.RefreshToken, third.RefreshToken)
	k.proven(t, second.RefreshToken, sessionstore.RetriedLate)
	// The database falls back to before the binding: the tokens still say it.
	k.exec(t, `UPDATE "sessionStoreToken" SET "generation" = 0, "dpopJkt" = NULL WHERE "session" = $1`, session.ID)
	thief(third.RefreshToken)
	fourth := k.proven(t, third.RefreshToken, sessionstore.Healed)
	thief(fourth.RefreshToken)
	// With the key, the usual rules apply.
	k.age(t, session.ID, time.Hour)
	if _, err := k.prove(t, first.RefreshToken, ownKey); !errors.Is(err, sessionstore.ErrReuse) {
		t.Errorf("an old token with its key: %v", err)
	}
}

// The first refresh with a proof binds, whether it is a rotation or a repeated
// answer; of many at once with different keys one wins, and the others get no
// pair.
func TestFirstProofBinds(t *testing.T) {
	t.Parallel()
	k := setup(t)
	_, first := k.create(t, sessionstore.CreateParams{})
	second := k.proven(t, first.RefreshToken, sessionstore.Rotated)
	k.proven(t, first.RefreshToken, sessionstore.Raced)
	if _, err := k.prove(t, second.RefreshToken, ""); !errors.Is(err, sessionstore.ErrNotProven) {
		t.Error(err)
	}

	_, first = k.create(t, sessionstore.CreateParams{})
	second = k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	k.proven(t, first.RefreshToken, sessionstore.Raced)
	k.proven(t, second.RefreshToken, sessionstore.StillFresh)

	_, first = k.create(t, sessionstore.CreateParams{})
	var mu sync.Mutex
	won := map[string]bool{}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			key := strings.Repeat(string(rune('a'+i)), 42) + "A"
			got, err := k.prove(t, first.RefreshToken, key)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				won[got.Pair.KeyThumbprint] = true
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Errorf("%d keys got a pair", len(won))
	}
}

// Either party may be the thief that bound the session first: the other must
// not just be turned away, and neither keeps the session.
func TestUnboundCopyIsATheft(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for name, key := range map[string]string{"without a key": "", "with another key": otherKey} {
		_, first := k.create(t, sessionstore.CreateParams{})
		bound := k.proven(t, first.RefreshToken, sessionstore.Rotated)
		got, err := k.prove(t, first.RefreshToken, key)
		reuse, ok := errors.AsType[*sessionstore.ReuseError](err)
		if !ok || reuse.Theft != sessionstore.Unproven {
			t.Errorf("%s: %v, %v", name, got.Outcome, err)
		}
		if _, err := k.prove(t, bound.RefreshToken, ownKey); !errors.Is(err, sessionstore.ErrEnded) {
			t.Errorf("%s: the session is still live: %v", name, err)
		}
	}
}

func TestThumbprintsAreChecked(t *testing.T) {
	t.Parallel()
	k := setup(t)
	_, pair := k.create(t, sessionstore.CreateParams{})
	for _, bad := range []string{"x", strings.Repeat("A", 42), strings.Repeat("A", 44), strings.Repeat("A", 42) + "B", strings.Repeat("A", 42) + "=", strings.Repeat("A", 42) + "\n"} {
		if _, _, err := k.Create(t.Context(), sessionstore.CreateParams{KeyThumbprint: bad}); !errors.Is(err, sessionstore.ErrInvalidArgument) {
			t.Errorf("create with %q: %v", bad, err)
		}
		if _, err := k.prove(t, pair.RefreshToken, bad); !errors.Is(err, sessionstore.ErrInvalidArgument) {
			t.Errorf("refresh with %q: %v", bad, err)
		}
	}
}

// Ending a bound session needs no proof (RFC 7009).
func TestRevokeBound(t *testing.T) {
	t.Parallel()
	k := setup(t)
	_, pair := k.create(t, sessionstore.CreateParams{KeyThumbprint: ownKey})
	if err := k.RevokeToken(t.Context(), string(pair.RefreshToken)); err != nil {
		t.Fatal(err)
	}
	if _, err := k.prove(t, pair.RefreshToken, ownKey); !errors.Is(err, sessionstore.ErrEnded) {
		t.Error(err)
	}
}
