package sessionstore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// manySessions makes thousands of live sessions, whose tokens no client has.
func (k kit) manySessions(t *testing.T, n int) {
	t.Helper()
	k.exec(t, `
WITH made AS (
  INSERT INTO "sessionStore" ("id", "checksum", "data", "createdAt", "updatedAt", "subject")
  SELECT gen_random_uuid(), '', '{}', now(), now(), 'crowd-' || n FROM generate_series(1, $1) n RETURNING "id"
)
INSERT INTO "sessionStoreToken" ("id", "session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
SELECT gen_random_uuid(), "id", now(), now() + interval '1 day', (now() + interval '1 day')::date, now() + interval '5 min' FROM made`, n)
}

const liveQuery = `SELECT count(*) FROM "sessionStore" s JOIN "sessionStoreToken" t ON t."session" = s."id"
  WHERE s."revokedAt" IS NULL OR t."revokedAt" IS NULL`

// Signing out all users includes sessions that were made while the database's clock was ahead.
func TestInvalidateAllAfterAClockWasAhead(t *testing.T) {
	t.Parallel()
	k := setup(t)
	early, pair := k.create(t, sessionstore.CreateParams{})
	k.exec(t, `UPDATE "sessionStore" SET "createdAt" = now() + interval '1 day' WHERE "id" = $1`, early.ID)
	k.exec(t, `UPDATE "sessionStoreToken" SET "createdAt" = now() + interval '1 day' WHERE "session" = $1`, early.ID)
	k.create(t, sessionstore.CreateParams{})
	var late sessionstore.TokenPair
	n, err := k.InvalidateAll(t.Context(), func(int64) {
		if late.RefreshToken == "" {
			_, late = k.create(t, sessionstore.CreateParams{})
		}
	})
	if err != nil || n != 2 {
		t.Errorf("%d sessions were revoked, want 2: %v", n, err)
	}
	if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("a refresh of a session that was made while the clock was ahead: %v", err)
	}
	k.refresh(t, late.RefreshToken, sessionstore.Rotated)
}

// All users are signed out, by two operators at once, and followers of revocations learn it within the bound. A user
// who signs in meanwhile stays signed in.
func TestInvalidateAll(t *testing.T) {
	t.Parallel()
	const crowd = 2500 // some batches
	s := setup(t)
	s.manySessions(t, crowd)
	ended, endedPair := s.create(t, sessionstore.CreateParams{})
	if err := s.Invalidate(t.Context(), ended.ID); err != nil {
		t.Fatal(err)
	}
	_, held := s.create(t, sessionstore.CreateParams{})
	held = s.refresh(t, held.RefreshToken, sessionstore.Rotated)
	edge := s.follow(t)
	if _, err := edge.Verify(t.Context(), string(held.AccessToken)); err != nil {
		t.Fatal(err)
	}

	var late sessionstore.TokenPair
	var second, last int64
	var other sync.WaitGroup
	batches := 0
	first, err := s.InvalidateAll(t.Context(), func(n int64) {
		if batches, last = batches+1, n; batches > 1 {
			return
		}
		began := make(chan struct{})
		has := sync.OnceFunc(func() { close(began) })
		other.Go(func() {
			defer has()
			var err error
			if second, err = s.InvalidateAll(t.Context(), func(int64) { has() }); err != nil {
				t.Error(err)
			}
		})
		<-began
		_, late = s.create(t, sessionstore.CreateParams{Subject: "late"})
	})
	other.Wait()
	allEnded := time.Now()
	if err != nil || first+second != crowd+1 || first != last {
		t.Errorf("%d (progress: %d) and %d sessions were ended, want %d together; %v", first, last, second, crowd+1, err)
	}
	if n := s.count(t, liveQuery); n != 1 {
		t.Errorf("%d sessions are live, want the one that came late", n)
	}
	for name, pair := range map[string]sessionstore.TokenPair{"held": held, "ended before": endedPair} {
		if _, err := s.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
			t.Errorf("refresh of the session that was %s: %v", name, err)
		}
	}
	s.await(t, "the edge to know", func() bool {
		began := time.Now()
		_, err := edge.Verify(t.Context(), string(held.AccessToken))
		if err == nil && began.Sub(allEnded) > edgeBound {
			t.Errorf("the edge accepts %v later", began.Sub(allEnded))
		}
		return errors.Is(err, verifier.ErrRevoked)
	})
	if _, err := edge.Verify(t.Context(), string(late.AccessToken)); err != nil {
		t.Errorf("who signed in meanwhile: %v", err)
	}
	if n, err := s.InvalidateAll(t.Context(), nil); n != 1 || err != nil {
		t.Errorf("again: %d, %v; want the one that came late", n, err)
	}
}

// An interrupted call continues when it is made again.
func TestInvalidateAllIsInterrupted(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.manySessions(t, 1500)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first, err := s.InvalidateAll(ctx, func(int64) { cancel() })
	if !errors.Is(err, sessionstore.ErrUnavailable) || !errors.Is(err, context.Canceled) || first != 1000 {
		t.Fatalf("%d, %v", first, err)
	}
	if second, err := s.InvalidateAll(t.Context(), nil); second != 500 || err != nil {
		t.Errorf("%d, %v", second, err)
	}
}
