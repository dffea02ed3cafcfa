package sessionstore_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Whatever level transactions have by default, no call gets an error because it
// conflicted with another, and all results are the usual ones. The pool is the
// program's own, and sets no level either.
func TestIsolationLevels(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"serializable", "repeatable read"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			cfg.SessionsPerSubject = 3
			k := setupWith(t, cfg)
			k.exec(t, `ALTER DATABASE "`+k.pool.Config().ConnConfig.Database+`" SET default_transaction_isolation = '`+level+`'`)
			k.pool.Reset()
			if got := k.level(t); got != level {
				t.Fatalf("the default is %q", got)
			}
			k.refreshOneToken(t)
			k.signOutAndRefresh(t)
			k.createBeyondTheLimit(t, newStore(t, k.pool, k.ring, cfg))
			k.updateOneSession(t)
		})
	}
}

const crowded = 12

func (k kit) level(t *testing.T) (level string) {
	t.Helper()
	if err := k.pool.QueryRow(t.Context(), `SHOW transaction_isolation`).Scan(&level); err != nil {
		t.Fatal(err)
	}
	return level
}

// refreshOneToken presents one token many times at once.
func (k kit) refreshOneToken(t *testing.T) {
	t.Helper()
	for range 10 {
		_, pair := k.create(t, sessionstore.CreateParams{Subject: "tabs"})
		var got [crowded]sessionstore.Refreshed
		together(crowded, func(i int) {
			var err error
			if got[i], err = k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); err != nil {
				t.Errorf("a refresh: %v", err)
			}
		})
		rotated := 0
		for _, r := range got {
			if r.Outcome == sessionstore.Rotated {
				rotated++
			}
			if r.Pair.RefreshToken != got[0].Pair.RefreshToken {
				t.Error("two pairs")
			}
		}
		if rotated != 1 {
			t.Errorf("%d rotations", rotated)
		}
	}
}

// signOutAndRefresh ends sessions in every way, alongside refreshes of them.
func (k kit) signOutAndRefresh(t *testing.T) {
	t.Helper()
	for range 10 {
		var sessions [3]sessionstore.Session
		var newest [3]tokens.Secret
		for i := range sessions {
			var pair sessionstore.TokenPair
			sessions[i], pair = k.create(t, sessionstore.CreateParams{Subject: "leaver"})
			newest[i] = pair.RefreshToken
		}
		together(crowded, func(i int) {
			var err error
			switch i % 4 {
			case 0:
				err = k.Invalidate(t.Context(), sessions[i/4].ID)
			case 1:
				_, err = k.InvalidateSubject(t.Context(), "leaver", uuid.Nil)
			default:
				_, err = k.RefreshTokens(t.Context(), string(newest[i/4]), sessionstore.Client{})
			}
			if err != nil && !errors.Is(err, sessionstore.ErrEnded) {
				t.Errorf("a sign-out or a refresh alongside one: %v", err)
			}
		})
		for i, token := range newest {
			if _, err := k.RefreshTokens(t.Context(), string(token), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
				t.Errorf("%d: after a sign-out: %v", i, err)
			}
		}
	}
}

// createBeyondTheLimit makes more sessions at once than a subject may have, in two
// stores, which wait for each other in the database only.
func (k kit) createBeyondTheLimit(t *testing.T, other *sessionstore.Store) {
	t.Helper()
	stores := [2]*sessionstore.Store{k.Store, other}
	together(crowded, func(i int) {
		if _, _, err := stores[i%2].Create(t.Context(), sessionstore.CreateParams{Subject: "many"}); err != nil {
			t.Errorf("a creation: %v", err)
		}
	})
	if n := k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "subject" = 'many' AND "revokedAt" IS NULL`); n != 3 {
		t.Errorf("%d sessions, 3 may be", n)
	}
}

// updateOneSession writes to one session many times at once: one succeeds.
func (k kit) updateOneSession(t *testing.T) {
	t.Helper()
	session, _ := k.create(t, sessionstore.CreateParams{Subject: "writer"})
	var written atomic.Int64
	together(crowded, func(i int) {
		switch _, err := k.Update(t.Context(), session.ID, session.Checksum, fmt.Appendf(nil, `{"by":%d}`, i)); {
		case err == nil:
			written.Add(1)
		case !errors.Is(err, sessionstore.ErrConflict):
			t.Errorf("an update: %v", err)
		}
	})
	if n := written.Load(); n != 1 {
		t.Errorf("%d updates of one version", n)
	}
}
