package sessionstore_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// together calls f n times at once and returns when all have returned.
func together(n int, f func(i int)) {
	var ready, done sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-gate
			f(i)
		})
	}
	ready.Wait()
	close(gate)
	done.Wait()
}

// Twenty refreshes at once with one token give one new pair, twenty times.
func TestConcurrentRefreshGivesOnePair(t *testing.T) {
	t.Parallel()
	k := setup(t)
	_, first := k.create(t, sessionstore.CreateParams{})
	const n = 20
	got := make([]sessionstore.Refreshed, n)
	errs := make([]error, n)
	together(n, func(i int) { got[i], errs[i] = k.RefreshTokens(t.Context(), string(first.RefreshToken)) })

	outcomes := map[sessionstore.Outcome]int{}
	access, refresh := map[tokens.Secret]bool{}, map[tokens.Secret]bool{}
	for i, r := range got {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		outcomes[r.Outcome]++
		access[r.Pair.AccessToken], refresh[r.Pair.RefreshToken] = true, true
	}
	if len(access) != 1 || len(refresh) != 1 {
		t.Errorf("%d access tokens and %d refresh tokens", len(access), len(refresh))
	}
	if outcomes[sessionstore.Rotated] != 1 || outcomes[sessionstore.Raced] != n-1 {
		t.Errorf("outcomes %v", outcomes)
	}
	if n := k.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "generation" = 1`); n != 2 {
		t.Errorf("%d of 2 rows are of generation 1", n)
	}
}

// Of many writers with one checksum exactly one wins, and the others know.
func TestConcurrentUpdateLosesNothing(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{})
	const n = 16
	errs := make([]error, n)
	together(n, func(i int) {
		_, errs[i] = k.Update(t.Context(), session.ID, session.Checksum, fmt.Appendf(nil, `{"writer":%d}`, i))
	})
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			t.Errorf("writers %d and %d both won", winner, i)
		case !errors.Is(err, sessionstore.ErrConflict):
			t.Errorf("writer %d: %v", i, err)
		}
	}
	got, _, err := k.Get(t.Context(), string(pair.AccessToken))
	if err != nil || string(got.Data) != fmt.Sprintf(`{"writer": %d}`, winner) {
		t.Errorf("writer %d won, the data is %s (%v)", winner, got.Data, err)
	}
}

// After Invalidate has returned, no refresh succeeds, however they meet.
func TestInvalidateBeatsRefresh(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for range 20 {
		session, pair := k.create(t, sessionstore.CreateParams{})
		together(4, func(i int) {
			if i == 0 {
				if err := k.Invalidate(t.Context(), session.ID); err != nil {
					t.Error(err)
				}
				// What comes after must not succeed, whichever token it has.
				if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken)); !errors.Is(err, sessionstore.ErrEnded) {
					t.Errorf("refresh after Invalidate: %v", err)
				}
				return
			}
			if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken)); err != nil && !errors.Is(err, sessionstore.ErrEnded) {
				t.Errorf("refresh: %v", err)
			}
		})
		if n := k.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "session" = $1 AND "revokedAt" IS NOT NULL`, session.ID); n != 2 {
			t.Errorf("%d of 2 token rows are revoked", n)
		}
	}
}

// Everything at once on the same few sessions: no deadlock, and no error that
// is not an outcome.
func TestNoDeadlock(t *testing.T) {
	t.Parallel()
	k := setup(t)
	until := time.Now().Add(3 * time.Second)
	type live struct {
		session sessionstore.Session
		pair    sessionstore.TokenPair
	}
	var mu sync.Mutex
	var sessions [6]live
	renew := func(i int) {
		session, pair, err := k.Create(t.Context(), sessionstore.CreateParams{Subject: fmt.Sprint("user-", i%2)})
		if err != nil {
			t.Error(err)
		}
		sessions[i] = live{session, pair}
	}
	for i := range sessions {
		renew(i)
	}
	together(8, func(worker int) {
		for n := worker; time.Now().Before(until); n++ {
			mu.Lock()
			s := sessions[n%len(sessions)]
			mu.Unlock()
			var err error
			switch n % 7 {
			case 0, 1, 2:
				var r sessionstore.Refreshed
				if r, err = k.RefreshTokens(t.Context(), string(s.pair.RefreshToken)); err == nil {
					mu.Lock()
					sessions[n%len(sessions)].pair = r.Pair
					mu.Unlock()
				}
			case 3:
				_, err = k.Update(t.Context(), s.session.ID, s.session.Checksum, fmt.Appendf(nil, `{"n":%d}`, n))
			case 4:
				if n%5 == 0 {
					err = k.Invalidate(t.Context(), s.session.ID)
				}
			case 5:
				if n%11 == 0 {
					_, err = k.InvalidateSubject(t.Context(), s.session.Subject, uuid.Nil)
				}
			case 6:
				_, err = k.DeleteRevoked(t.Context(), 0, 3)
			}
			switch {
			case err == nil, errors.Is(err, sessionstore.ErrConflict), errors.Is(err, sessionstore.ErrReuse),
				errors.Is(err, sessionstore.ErrCleanupRunning):
			case errors.Is(err, sessionstore.ErrEnded), errors.Is(err, sessionstore.ErrNotFound):
				mu.Lock()
				renew(n % len(sessions))
				mu.Unlock()
			default:
				t.Error(err)
				return
			}
		}
	})
}
