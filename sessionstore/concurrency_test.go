package sessionstore_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cleanup"
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
	together(n, func(i int) {
		got[i], errs[i] = k.RefreshTokens(t.Context(), string(first.RefreshToken), sessionstore.Client{})
	})

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
	if n := k.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "generation" = 1 AND "accessGeneration" = 1`); n != 1 {
		t.Errorf("%d rows are of generation 1, want 1", n)
	}
}

// Of many writers with one checksum, exactly one wins, and the others get a conflict.
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
				// Later requests must not succeed, whichever token they have.
				if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
					t.Errorf("refresh after Invalidate: %v", err)
				}
				return
			}
			if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); err != nil && !errors.Is(err, sessionstore.ErrEnded) {
				t.Errorf("refresh: %v", err)
			}
		})
		if n := k.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "session" = $1 AND "revokedAt" IS NOT NULL`, session.ID); n != 1 {
			t.Errorf("%d of 1 token row is revoked", n)
		}
	}
}

var deadlockFor = flag.Duration("deadlock.for", 2*time.Second, "how long TestNoDeadlock looks for deadlocks, at least")

// deadlockPatience is how long the test continues until everything that it tests has
// happened.
const deadlockPatience = 2 * time.Minute

// Everything at once on the same few sessions, over many connections: no
// deadlock, and no unexpected error.
func TestNoDeadlock(t *testing.T) {
	t.Parallel()
	const workers = 24
	cfg := config()
	cfg.Grace = 2 * time.Millisecond // so short that refreshes meet with all outcomes
	k := setupFast(t, cfg)
	b := &brawl{kit: k.onPool(t, workers+1, cfg), done: map[string]int64{}}
	cfg.SessionsPerSubject = 2
	b.limited = newStore(t, b.pool, b.ring, cfg)
	stop := b.run(t)
	for i := range b.sessions {
		b.renew(t, i, uuid.Nil)
	}
	began := time.Now()
	together(workers, func(int) {
		for !t.Failed() && (time.Since(began) < *deadlockFor || len(b.rare()) > 0 && time.Since(began) < deadlockPatience) {
			b.act(t)
		}
	})
	stop()

	b.pool.Close() // what its connections know of deadlocks, they report when they end
	k.await(t, "the connections' ends", func() bool {
		return k.count(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1`, brawlName) == 0
	})
	k.wantNoDeadlock(t)
	rare := b.rare()
	t.Log(b.done)
	for _, what := range rare {
		t.Errorf("%s happened less than 3 times: the test shows nothing about it", what)
	}
}

const brawlName = "brawl"

// onPool is the kit with a store on its own pool.
func (k kit) onPool(t *testing.T, connections int32, cfg sessionstore.Config) kit {
	t.Helper()
	poolConfig := k.pool.Config()
	poolConfig.MaxConns = connections
	poolConfig.ConnConfig.RuntimeParams["application_name"] = brawlName
	pool, err := pgxpool.NewWithConfig(t.Context(), poolConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	k.pool, k.Store = pool, newStore(t, pool, k.ring, cfg)
	return k
}

// brawl is a few sessions on which all operations run at once.
type brawl struct {
	kit
	limited  *sessionstore.Store // has room for fewer sessions
	mu       sync.Mutex
	sessions [6]brawler
	done     map[string]int64 // what was done, and how often
}

// rare lists what happened less than 3 times.
func (b *brawl) rare() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var rare []string
	b.done["confirm"] = b.confirmations.Load()
	for _, what := range []string{
		"rotated", "still_fresh", "raced", "retried_late", "reuse", "get", "confirm", "update", "conflict", "list",
		"create, ending others", "replace", "replace within a limit", "invalidate", "invalidate subject", "invalidate all but one", "delete revoked", "delete expired", "delete aged",
	} {
		if b.done[what] < 3 {
			rare = append(rare, what)
		}
	}
	return rare
}

type brawler struct {
	session        sessionstore.Session
	newest, former tokens.Secret // refresh tokens
	access         tokens.Secret
}

// renew replaces a session that has ended, unless another goroutine has done it.
func (b *brawl) renew(t *testing.T, i int, ended uuid.UUID) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sessions[i].session.ID != ended {
		return
	}
	session, pair, err := b.Create(t.Context(), sessionstore.CreateParams{Subject: fmt.Sprint("user-", i%2)})
	if err != nil {
		t.Error(err)
	}
	b.sessions[i] = brawler{session, pair.RefreshToken, pair.RefreshToken, pair.AccessToken}
}

// act does something to one of the sessions.
func (b *brawl) act(t *testing.T) {
	t.Helper()
	i := rand.IntN(len(b.sessions))
	b.mu.Lock()
	s := b.sessions[i]
	b.mu.Unlock()
	what, err := b.try(t.Context(), &s)
	switch {
	case err == nil, errors.Is(err, sessionstore.ErrSuperseded), errors.Is(err, sessionstore.ErrCleanupRunning):
	case errors.Is(err, sessionstore.ErrConflict):
		what, err = "conflict", nil
	case errors.Is(err, sessionstore.ErrReuse):
		what, err = "reuse", nil
		b.renew(t, i, s.session.ID)
	case errors.Is(err, sessionstore.ErrEnded), errors.Is(err, sessionstore.ErrNotFound), errors.Is(err, sessionstore.ErrNotReplaceable):
		b.renew(t, i, s.session.ID)
	default:
		t.Errorf("%s: %v", what, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.done[what]++
	}
	if b.sessions[i].session.ID == s.session.ID {
		b.sessions[i] = s
	}
}

// try does something and notes in s what it learns.
func (b *brawl) try(ctx context.Context, s *brawler) (what string, err error) {
	refresh := func(token tokens.Secret) (string, error) {
		got, err := b.RefreshTokens(ctx, string(token), sessionstore.Client{})
		if err == nil {
			s.newest, s.former, s.access = got.Pair.RefreshToken, token, got.Pair.AccessToken
		}
		return got.Outcome.String(), err
	}
	switch n := rand.IntN(1000); {
	case n < 350:
		return refresh(s.newest)
	case n < 500:
		return refresh(s.former)
	case n < 700:
		_, _, err := b.Get(ctx, string(s.access))
		return "get", err
	case n < 850:
		next, err := b.Update(ctx, s.session.ID, s.session.Checksum, fmt.Appendf(nil, `{"n":%d}`, rand.Int()))
		if conflict, ok := errors.AsType[*sessionstore.ConflictError](err); ok {
			next = conflict.Checksum
		}
		s.session.Checksum = cmp.Or(next, s.session.Checksum)
		return "update", err
	case n < 940:
		_, err := b.List(ctx, s.session.Subject, sessionstore.ListParams{})
		return "list", err
	case n < 950:
		return "invalidate", b.Invalidate(ctx, s.session.ID)
	case n < 960:
		_, err := b.InvalidateSubject(ctx, s.session.Subject, uuid.Nil)
		return "invalidate subject", err
	case n < 970:
		_, err := b.InvalidateSubject(ctx, s.session.Subject, s.session.ID)
		return "invalidate all but one", err
	case n < 980:
		_, _, err := b.limited.Create(ctx, sessionstore.CreateParams{Subject: s.session.Subject})
		return "create, ending others", err
	case n < 990:
		store := []*sessionstore.Store{b.Store, b.limited}[n%2]
		_, _, err := store.Replace(ctx, sessionstore.Replaced{SessionID: s.session.ID}, sessionstore.CreateParams{})
		return []string{"replace", "replace within a limit"}[n%2], err
	}
	// Cleanup finds what was revoked and, where it looks into the future, the
	// very sessions that are being used.
	const future = -10_000 * time.Hour
	rule := []cleanup.Rule{{Kind: cleanup.Revoked}, {Kind: cleanup.Expired, After: future}, {Kind: cleanup.Aged, After: future}}[rand.IntN(3)]
	what = "delete " + string(rule.Kind)
	removed, err := removeSome(ctx, b.Store, rule, 3)
	if removed.Sessions == 0 {
		what = "delete nothing"
	}
	return what, err
}
