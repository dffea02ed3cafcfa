package sessionstore_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Of several replacements of one session exactly one succeeds, on whichever replica,
// and the others get an error.
func TestReplaceOnlyOnce(t *testing.T) {
	t.Parallel()
	for name, cfg := range replacements(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setupWith(t, cfg)
			replicas := []*sessionstore.Store{k.Store, newStore(t, k.pool, k.ring, cfg)}
			old, first := k.create(t, sessionstore.CreateParams{Subject: "ann"})
			const n = 12
			errs := make([]error, n)
			together(n, func(i int) {
				_, _, errs[i] = replicas[i%2].Replace(t.Context(), sessionstore.Replaced{SessionID: old.ID}, sessionstore.CreateParams{Claims: fmt.Appendf(nil, `{"n":%d}`, i)})
			})
			won := 0
			for i, err := range errs {
				switch {
				case err == nil:
					won++
				case !errors.Is(err, sessionstore.ErrNotReplaceable):
					t.Errorf("%d: %v", i, err)
				}
			}
			if rows, live := k.count(t, `SELECT count(*) FROM "sessionStore"`), k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "revokedAt" IS NULL`); won != 1 || rows != 2 || live != 1 {
				t.Errorf("%d succeeded, there are %d sessions, of which %d are live", won, rows, live)
			}
			k.wantOver(t, first)
		})
	}
}

// The same replacement sent several times at once gives one session.
func TestReplaceAgainAtOnce(t *testing.T) {
	t.Parallel()
	for name, cfg := range replacements(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setupWith(t, cfg)
			replicas := []*sessionstore.Store{k.Store, newStore(t, k.pool, k.ring, cfg)}
			guest, _ := k.guest(t)
			var mu sync.Mutex
			pairs := map[[2]any]int{}
			together(12, func(i int) {
				session, pair, err := replicas[i%2].Replace(t.Context(), sessionstore.Replaced{SessionID: guest.ID}, sessionstore.CreateParams{Subject: "ann"})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				pairs[[2]any{session.ID, pair.RefreshToken}]++
			})
			if rows := k.count(t, `SELECT count(*) FROM "sessionStore"`); len(pairs) != 1 || rows != 2 {
				t.Errorf("%d pairs, %d sessions", len(pairs), rows)
			}
		})
	}
}

// A sign-out everywhere catches a session that is being replaced again and again: once
// it has been answered, neither the old session nor its replacement is live.
func TestReplaceBesideSignOut(t *testing.T) {
	t.Parallel()
	for name, cfg := range replacements(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.SessionsPerSubject *= 8
			k := setupWith(t, cfg)
			for round := range 15 {
				subject := fmt.Sprint("user-", round)
				const chains = 4
				var begun [chains]chan struct{}
				var all sync.WaitGroup
				var over atomic.Bool
				for i := range chains {
					begun[i] = make(chan struct{})
					session, _ := k.create(t, sessionstore.CreateParams{Subject: subject})
					all.Go(func() {
						for n := 0; !over.Load(); n++ {
							next, _, err := k.Replace(t.Context(), sessionstore.Replaced{SessionID: session.ID}, sessionstore.CreateParams{})
							if n == 0 {
								close(begun[i])
							}
							if err != nil {
								if !errors.Is(err, sessionstore.ErrNotReplaceable) {
									t.Error(err)
								}
								return
							}
							session = next
						}
					})
				}
				for _, begun := range begun {
					<-begun
				}
				time.Sleep(time.Duration(round) * 200 * time.Microsecond)
				if _, err := k.InvalidateSubject(t.Context(), subject, uuid.Nil); err != nil {
					t.Fatal(err)
				}
				if n := k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "subject" = $1 AND "revokedAt" IS NULL`, subject); n != 0 {
					over.Store(true)
					all.Wait()
					t.Fatalf("%d sessions are there after a sign-out everywhere", n)
				}
				all.Wait()
			}
		})
	}
}

// Data written before a session was replaced is in the new one.
func TestReplaceBesideUpdate(t *testing.T) {
	t.Parallel()
	for name, cfg := range replacements(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setupWith(t, cfg)
			written := 0
			for round := range 30 {
				old, _ := k.create(t, sessionstore.CreateParams{Subject: fmt.Sprint("user-", round), Data: []byte(`{"n": 0}`)})
				var session sessionstore.Session
				var errs [2]error
				together(2, func(i int) {
					if i == 0 {
						_, errs[0] = k.Update(t.Context(), old.ID, old.Checksum, []byte(`{"n": 1}`))
						return
					}
					session, _, errs[1] = k.Replace(t.Context(), sessionstore.Replaced{SessionID: old.ID}, sessionstore.CreateParams{})
				})
				want := `{"n": 0}`
				if errs[0] == nil {
					want = `{"n": 1}`
					written++
				}
				if errs[0] != nil && !errors.Is(errs[0], sessionstore.ErrEnded) || errs[1] != nil {
					t.Fatal(errs)
				}
				if string(session.Data) != want {
					t.Errorf("data %s, want %s", session.Data, want)
				}
			}
			t.Logf("%d of 30 were written before", written)
		})
	}
}
