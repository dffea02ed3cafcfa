package sessionstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const (
	grace = sessionstore.DefaultGrace
	// aWhile after its issue, a pair is no longer fresh, and the uses of a
	// successor made then count at once.
	aWhile = 5 * grace
)

// RFC 9700 §2.2.2, §4.14.2: each refresh rotates, in the same row.
func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{Data: []byte(`{"a":1}`)})
	for i := range 5 {
		next := k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
		if next.RefreshToken == pair.RefreshToken || next.AccessToken == pair.AccessToken {
			t.Fatalf("refresh %d: the same token again", i)
		}
		got, _, err := k.Get(t.Context(), string(next.AccessToken))
		if err != nil || got.ID != session.ID || string(got.Data) != `{"a": 1}` || got.RefreshedAt.IsZero() {
			t.Fatalf("refresh %d: %+v, %v", i, got, err)
		}
		pair = next
		k.age(t, session.ID, aWhile)
	}
	if n := k.count(t, `SELECT count(*) FROM "sessionStoreToken"`); n != 1 {
		t.Errorf("%d token rows, want 1", n)
	}
	if n := k.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "expiresOn" = ("expiresAt" AT TIME ZONE 'UTC')::date`); n != 1 {
		t.Error("the row's day is not that of its expiry")
	}
}

// A request may be sent again within the grace: the same JWTs are the answer.
func TestRefreshAgainGivesTheSamePair(t *testing.T) {
	t.Parallel()
	k := setupFrozen(t)
	session, first := k.create(t, sessionstore.CreateParams{})
	want := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	same := func(name string, got sessionstore.TokenPair) {
		t.Helper()
		got.AnsweredAt = want.AnsweredAt
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: another pair: %s", name, diff)
		}
	}
	same("race", k.refresh(t, first.RefreshToken, sessionstore.Raced))
	k.age(t, session.ID, grace-2*time.Second)
	want.AccessTokenExpiresAt = want.AccessTokenExpiresAt.Add(2*time.Second - grace)
	want.RefreshTokenExpiresAt = want.RefreshTokenExpiresAt.Add(2*time.Second - grace)
	got := k.refresh(t, first.RefreshToken, sessionstore.Raced)
	want.AccessToken, want.RefreshToken = got.AccessToken, got.RefreshToken // aging changes iat and exp
	same("race at the end of the grace", got)
	same("still fresh", k.refresh(t, want.RefreshToken, sessionstore.StillFresh))
	same("still fresh again", k.refresh(t, want.RefreshToken, sessionstore.StillFresh))
}

// FAPI 2.0 §5.3.2.1: a retry with the previous token succeeds if the response
// never arrived, even after the grace.
func TestLateRetry(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, first := k.create(t, sessionstore.CreateParams{})
	lost := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	k.age(t, session.ID, time.Hour)
	found := k.refresh(t, first.RefreshToken, sessionstore.RetriedLate)
	if found.AccessToken == lost.AccessToken || found.ExpiresIn() < 299*time.Second {
		t.Errorf("the access token lasts %v", found.ExpiresIn())
	}
	if _, _, err := k.Get(t.Context(), string(found.AccessToken)); err != nil {
		t.Error(err)
	}
	k.age(t, session.ID, aWhile)
	k.refresh(t, found.RefreshToken, sessionstore.Rotated)
}

// RFC 9700 §4.14.2, ASVS 10.4.5: a replay revokes every token of the session.
func TestReuseRevokesTheSession(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for _, test := range []struct {
		theft  sessionstore.Theft
		behind int64
		replay func(t *testing.T, k kit) (stolen, newest sessionstore.TokenPair)
	}{
		{sessionstore.Old, 2, func(t *testing.T, k kit) (stolen, newest sessionstore.TokenPair) {
			t.Helper()
			session, first := k.create(t, sessionstore.CreateParams{})
			second := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
			k.age(t, session.ID, aWhile)
			return first, k.refresh(t, second.RefreshToken, sessionstore.Rotated)
		}},
		{sessionstore.Stale, 1, func(t *testing.T, k kit) (stolen, newest sessionstore.TokenPair) {
			t.Helper()
			session, first := k.create(t, sessionstore.CreateParams{})
			second := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
			k.refresh(t, second.RefreshToken, sessionstore.StillFresh) // its owner has it
			k.age(t, session.ID, grace)
			return first, second
		}},
		{sessionstore.Lockstep, 1, func(t *testing.T, k kit) (stolen, newest sessionstore.TokenPair) {
			t.Helper()
			session, trailing := k.create(t, sessionstore.CreateParams{})
			leading := k.refresh(t, trailing.RefreshToken, sessionstore.Rotated)
			for range sessionstore.DefaultLateRetryLimit {
				k.age(t, session.ID, aWhile)
				trailing = k.refresh(t, trailing.RefreshToken, sessionstore.RetriedLate)
				k.age(t, session.ID, aWhile)
				leading = k.refresh(t, leading.RefreshToken, sessionstore.Rotated)
			}
			k.age(t, session.ID, aWhile)
			return trailing, leading
		}},
	} {
		stolen, newest := test.replay(t, k)
		var reuse *sessionstore.ReuseError
		_, err := k.RefreshTokens(t.Context(), string(stolen.RefreshToken), sessionstore.Client{})
		if !errors.Is(err, sessionstore.ErrReuse) || !errors.As(err, &reuse) || reuse.Theft != test.theft || reuse.Behind != test.behind {
			t.Errorf("%s: %v", test.theft, err)
		}
		if _, _, err := k.Get(t.Context(), string(newest.AccessToken)); !errors.Is(err, sessionstore.ErrEnded) {
			t.Errorf("%s: the newest access token: %v", test.theft, err)
		}
		if _, err := k.RefreshTokens(t.Context(), string(newest.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
			t.Errorf("%s: the newest refresh token: %v", test.theft, err)
		}
	}
}

// The grace is fixed: presenting a token again and again does not extend it.
func TestGraceDoesNotSlide(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, first := k.create(t, sessionstore.CreateParams{})
	second := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	k.refresh(t, second.RefreshToken, sessionstore.StillFresh)
	for range 3 {
		k.age(t, session.ID, grace/4)
		k.refresh(t, first.RefreshToken, sessionstore.Raced)
	}
	k.age(t, session.ID, grace/4)
	if _, err := k.RefreshTokens(t.Context(), string(first.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrReuse) {
		t.Errorf("after the grace: %v", err)
	}
}

// A failed-over database that lost commits logs nobody out.
func TestHealing(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{})
	lost := k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	k.exec(t, `UPDATE "sessionStoreToken" SET "generation" = 0, "accessGeneration" = 0, "issuedAt" = NULL WHERE "session" = $1`, session.ID)
	healed := k.refresh(t, lost.RefreshToken, sessionstore.Healed)
	again := k.refresh(t, lost.RefreshToken, sessionstore.Raced)
	if healed.RefreshToken != again.RefreshToken || healed.AccessToken != again.AccessToken {
		t.Error("a second tab got another pair")
	}
	if _, _, err := k.Get(t.Context(), string(healed.AccessToken)); err != nil {
		t.Error(err)
	}
}

// ASVS 7.3.1, 7.3.2: idle expiry without refresh, absolute expiry despite
// refreshes.
func TestExpiry(t *testing.T) {
	t.Parallel()
	k := setup(t)
	idle, pair := k.create(t, sessionstore.CreateParams{})
	k.age(t, idle.ID, 720*time.Hour)
	if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("idle for too long: %v", err)
	}
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("idle for too long: %v", err)
	}
	if _, err := k.Update(t.Context(), idle.ID, idle.Checksum, []byte(`{"a":1}`)); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("idle for too long: %v", err)
	}

	// A session's own idle timeout counts from its last refresh, not the default.
	kiosk, pair := k.create(t, sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{RefreshToken: time.Hour}})
	for range 2 {
		k.age(t, kiosk.ID, 50*time.Minute)
		pair = k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	}
	k.age(t, kiosk.ID, time.Hour)
	if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("idle for longer than it may be: %v", err)
	}

	capped, pair := k.create(t, sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{Session: 24 * time.Hour}})
	for range 3 {
		k.age(t, capped.ID, 8*time.Hour-time.Minute)
		pair = k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	}
	if pair.RefreshExpiresIn() > 3*time.Minute || pair.ExpiresIn() > 3*time.Minute {
		t.Errorf("tokens outlive their session: %v, %v", pair.ExpiresIn(), pair.RefreshExpiresIn())
	}
	k.age(t, capped.ID, 3*time.Minute)
	if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("past the absolute end: %v", err)
	}
}
