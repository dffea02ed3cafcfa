package sessionstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// limited is a configuration in which a subject has n sessions at most.
func limited(n int, action sessionstore.LimitAction) sessionstore.Config {
	cfg := config()
	cfg.SessionsPerSubject, cfg.SessionsPerSubjectAction = n, action
	return cfg
}

const liveCount = `SELECT count(*) FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id"
	WHERE s."subject" = $1 AND s."revokedAt" IS NULL AND r."revokedAt" IS NULL AND r."expiresAt" > now()`

// wantLive requires exactly these of the subject's sessions to be live.
func (k kit) wantLive(t *testing.T, subject string, want ...uuid.UUID) {
	t.Helper()
	page, err := k.List(t.Context(), subject, sessionstore.ListParams{})
	if err != nil {
		t.Fatal(err)
	}
	var got []uuid.UUID
	for _, session := range page.Sessions {
		got = append(got, session.ID)
	}
	slices.Reverse(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d sessions of %s are live, not these %d: %v, %v", len(got), subject, len(want), got, want)
	}
}

// The session that was created first ends as by a sign-out: no refresh of it
// succeeds, and verifiers are notified.
func TestLimitEndsTheOldest(t *testing.T) {
	t.Parallel()
	counted := &revocationCounter{}
	cfg := limited(2, "")
	cfg.Observers = []sessionstore.Observer{counted}
	k := setupWith(t, cfg)
	conn, err := k.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), "LISTEN latchkey_revoked"); err != nil {
		t.Fatal(err)
	}

	first, firstPair := k.create(t, sessionstore.CreateParams{Subject: "ann"})
	second, _ := k.create(t, sessionstore.CreateParams{Subject: "ann"})
	other, _ := k.create(t, sessionstore.CreateParams{Subject: "bob"})
	k.wantLive(t, "ann", first.ID, second.ID)

	// One that was refreshed is as old as it was.
	firstPair = k.refresh(t, firstPair.RefreshToken, sessionstore.Rotated)
	third, _ := k.create(t, sessionstore.CreateParams{Subject: "ann"})
	k.wantLive(t, "ann", second.ID, third.ID)
	k.wantLive(t, "bob", other.ID)
	if _, _, err := k.Get(t.Context(), string(firstPair.AccessToken)); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("its access token: %v", err)
	}
	if _, err := k.RefreshTokens(t.Context(), string(firstPair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("its refresh token: %v", err)
	}
	if n := k.count(t, `SELECT count(*) FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id"
		WHERE s."id" = $1 AND s."revokedAt" IS NOT NULL AND s."revokedXid" IS NOT NULL AND r."revokedAt" = s."revokedAt"`, first.ID); n != 1 {
		t.Error("it was not revoked as Invalidate does it")
	}
	if n := counted.n.Load(); n != 1 {
		t.Errorf("observers were notified of %d revoked sessions", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), awaitPatience)
	defer cancel()
	if _, err := conn.Conn().WaitForNotification(ctx); err != nil {
		t.Errorf("verifiers were not told: %v", err)
	}
}

// At the limit nothing is created, and nothing ends, until something else ends.
func TestLimitRefuses(t *testing.T) {
	t.Parallel()
	k := setupWith(t, limited(2, sessionstore.RefuseNew))
	first, _ := k.create(t, sessionstore.CreateParams{Subject: "ann"})
	second, _ := k.create(t, sessionstore.CreateParams{Subject: "ann"})
	for range 2 {
		if _, _, err := k.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"}); !errors.Is(err, sessionstore.ErrTooManySessions) {
			t.Fatalf("a third session: %v", err)
		}
	}
	if n := k.count(t, `SELECT (SELECT count(*) FROM "sessionStore") * 10 + (SELECT count(*) FROM "sessionStoreToken")`); n != 22 {
		t.Errorf("%d: a refusal left rows", n)
	}
	k.create(t, sessionstore.CreateParams{Subject: "bob"})
	if err := k.Invalidate(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	third, _ := k.create(t, sessionstore.CreateParams{Subject: "ann"})
	k.wantLive(t, "ann", second.ID, third.ID)
}

// Expired sessions do not count, and neither do sessions without a subject.
func TestLimitCountsLiveSessionsOfASubject(t *testing.T) {
	t.Parallel()
	for _, action := range []sessionstore.LimitAction{sessionstore.EndOldest, sessionstore.RefuseNew} {
		k := setupWith(t, limited(1, action))
		idle, _ := k.create(t, sessionstore.CreateParams{Subject: "ann"})
		k.age(t, idle.ID, 720*time.Hour)
		k.create(t, sessionstore.CreateParams{Subject: "ann"})
		if n := k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "revokedAt" IS NOT NULL`); n != 0 {
			t.Errorf("%s: an expired session was revoked", action)
		}
		for range 3 {
			if _, _, err := k.Create(t.Context(), sessionstore.CreateParams{}); err != nil {
				t.Fatal(err)
			}
		}
		if n := k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "revokedAt" IS NULL`); n != 5 {
			t.Errorf("%s: %d of 5 sessions are left", action, n)
		}
	}
}

// The next creation under a lower limit ends as many as necessary.
func TestLimitIsLowered(t *testing.T) {
	t.Parallel()
	k := setup(t)
	var sessions []uuid.UUID
	for range 6 {
		session, _ := k.create(t, sessionstore.CreateParams{Subject: "ann"})
		sessions = append(sessions, session.ID)
	}
	k.Store = newStore(t, k.pool, k.ring, limited(3, sessionstore.EndOldest))
	k.wantLive(t, "ann", sessions...)
	newest, _ := k.create(t, sessionstore.CreateParams{Subject: "ann"})
	k.wantLive(t, "ann", sessions[4], sessions[5], newest.ID)
}

// A hundred creations at once, from replicas with separate pools: exactly the
// allowed number of sessions remains, and all others are revoked.
func TestConcurrentCreationsKeepTheLimit(t *testing.T) {
	t.Parallel()
	const creations, limit = 100, 5
	for _, action := range []sessionstore.LimitAction{sessionstore.EndOldest, sessionstore.RefuseNew} {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			counted := &revocationCounter{}
			cfg := limited(limit, action)
			cfg.Observers = []sessionstore.Observer{counted}
			k := setupFast(t, cfg)
			replicas := []kit{k.onPool(t, 8, cfg), k.onPool(t, 8, cfg), k.onPool(t, 8, cfg)}
			var created atomic.Int64
			together(creations, func(i int) {
				_, _, err := replicas[i%len(replicas)].Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
				switch {
				case err == nil:
					created.Add(1)
				case action != sessionstore.RefuseNew || !errors.Is(err, sessionstore.ErrTooManySessions):
					t.Error(err)
				}
			})
			if n := k.count(t, liveCount, "ann"); n != limit {
				t.Errorf("%d sessions are live, want %d", n, limit)
			}
			want, wantRevoked := int64(creations), int64(creations-limit)
			if action == sessionstore.RefuseNew {
				want, wantRevoked = limit, 0
			}
			if created.Load() != want || counted.n.Load() != wantRevoked {
				t.Errorf("%d were created and %d revoked, want %d and %d", created.Load(), counted.n.Load(), want, wantRevoked)
			}
		})
	}
}

// Creations alongside sign-outs and refreshes of the same sessions: at no moment
// are there more sessions than allowed, and there is no deadlock.
func TestLimitBesideSignOuts(t *testing.T) {
	t.Parallel()
	const limit, workers, rounds = 3, 12, 25
	for _, action := range []sessionstore.LimitAction{sessionstore.EndOldest, sessionstore.RefuseNew} {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			cfg := limited(limit, action)
			cfg.Grace = time.Millisecond // so that refreshes write
			k := setupFast(t, cfg)
			k = k.onPool(t, workers+1, cfg)
			watched := make(chan int)
			var over atomic.Bool
			go func() {
				most := 0
				for !over.Load() {
					var n int
					if err := k.pool.QueryRow(t.Context(), liveCount, "ann").Scan(&n); err != nil {
						t.Error(err)
					}
					most = max(most, n)
				}
				watched <- most
			}()
			together(workers, func(worker int) {
				for range rounds {
					if worker == 0 {
						if _, err := k.InvalidateSubject(t.Context(), "ann", uuid.Nil); err != nil {
							t.Error(err)
						}
						continue
					}
					session, pair, err := k.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
					if errors.Is(err, sessionstore.ErrTooManySessions) && action == sessionstore.RefuseNew {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					if err := k.goOn(t.Context(), session.ID, pair.RefreshToken, worker); err != nil {
						t.Error(err)
					}
				}
			})
			over.Store(true)
			if most := <-watched; most > limit || most == 0 {
				t.Errorf("at times %d sessions were live, %d may be", most, limit)
			}
			for range 2 * limit {
				_, _, err := k.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
				if err != nil && !errors.Is(err, sessionstore.ErrTooManySessions) {
					t.Fatal(err)
				}
			}
			if n := k.count(t, liveCount, "ann"); n != limit {
				t.Errorf("in the end %d sessions are live, want %d", n, limit)
			}
		})
	}
}

// goOn refreshes a session, which may have ended, and ends it now and then.
func (k kit) goOn(ctx context.Context, id uuid.UUID, refreshToken tokens.Secret, worker int) error {
	for range 2 {
		got, err := k.RefreshTokens(ctx, string(refreshToken), sessionstore.Client{})
		if errors.Is(err, sessionstore.ErrEnded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("refresh: %w", err)
		}
		refreshToken = got.Pair.RefreshToken
	}
	if worker%3 == 0 {
		return k.Invalidate(ctx, id)
	}
	return nil
}

// revocationCounter is an observer that counts revoked sessions.
type revocationCounter struct{ n atomic.Int64 }

func (*revocationCounter) Begin(ctx context.Context, _ sessionstore.Operation) context.Context {
	return ctx
}

func (c *revocationCounter) End(_ context.Context, r sessionstore.Result) { c.n.Add(r.Revoked) }

// A creation is one round trip with a limit too, whatever the result.
func TestLimitedCreationIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	for _, action := range []sessionstore.LimitAction{sessionstore.EndOldest, sessionstore.RefuseNew} {
		store, trips := one(t, limited(2, action))
		const times = 10
		var before int64
		for i := range 4 + times {
			if i == 4 { // prepared, and at the limit
				before = trips.Load()
			}
			if _, _, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"}); err != nil && !errors.Is(err, sessionstore.ErrTooManySessions) {
				t.Fatal(err)
			}
		}
		if n := trips.Load() - before; n != times {
			t.Errorf("%s: %d creations made %d round trips", action, times, n)
		}
	}
}

// One user's sign-ins, each of which waits for the previous one, leave connections for all others.
func TestSignInsOfOneLeaveConnections(t *testing.T) {
	t.Parallel()
	cfg := limited(2, sessionstore.EndOldest)
	k := setupWith(t, cfg)
	blocker, err := k.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = blocker.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := blocker.Exec(t.Context(), sessionstore.LockSubjectQuery, "ann"); err != nil {
		t.Fatal(err)
	}
	few := k.onPool(t, 2, cfg)
	waiting := make(chan error)
	const signIns = 8
	for range signIns {
		go func() {
			_, _, err := few.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
			waiting <- err
		}()
	}
	k.await(t, "a sign-in that waits", func() bool {
		return k.count(t, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) > 0
	})
	ctx, cancel := context.WithTimeout(t.Context(), awaitPatience)
	defer cancel()
	for _, subject := range []string{"bob", "carl", ""} {
		if _, _, err := few.Create(ctx, sessionstore.CreateParams{Subject: subject}); err != nil {
			t.Errorf("%q cannot sign in meanwhile: %v", subject, err)
		}
	}
	// A caller that gives up gets an outage.
	gone, leave := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer leave()
	if _, _, err := few.Create(gone, sessionstore.CreateParams{Subject: "ann"}); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Errorf("who gave up: %v", err)
	}
	if err := blocker.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range signIns {
		if err := <-waiting; err != nil {
			t.Error(err)
		}
	}
	if n := k.count(t, liveCount, "ann"); n != 2 {
		t.Errorf("%d sessions are live, want 2", n)
	}
}

// Sessions that Compas created count as well, by their age: its ids are in no order.
func TestLimitCountsSessionsOfCompas(t *testing.T) {
	t.Parallel()
	c := setupCompas(t, func(cfg *sessionstore.Config) { cfg.SessionsPerSubject = 4 })
	var old []uuid.UUID
	for i := range 4 {
		p := c.signIn(t, `{}`)
		c.exec(t, `UPDATE "sessionStore" SET "subject" = 'ann' WHERE "id" = $1`, p.session)
		if i < 2 {
			c.refresh(t, p.refresh, sessionstore.Rotated) // now it has rows of both kinds
		}
		old = append(old, p.session)
	}
	for i := range old {
		if _, _, err := c.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"}); err != nil {
			t.Fatal(err)
		}
		for j, id := range old {
			session, err := c.Load(t.Context(), id)
			if err != nil || session.RevokedAt.IsZero() != (j > i) {
				t.Errorf("after %d creations session %d was revoked at %v (%v)", i+1, j, session.RevokedAt, err)
			}
		}
	}
	if n := c.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "session" = ANY ($1) AND "revokedAt" IS NULL`, old); n != 0 {
		t.Errorf("%d of their tokens are not revoked", n)
	}
}
