package sessionstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// The clock of a replica decides nothing about a token: whatever it shows, a token
// that is valid by the database's clock is accepted, and one that has expired by it
// is refused.
func TestReplicaClockDecidesNothing(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for _, off := range []time.Duration{
		time.Second, -time.Second, 20 * time.Second, -20 * time.Second, time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour, 10_000 * time.Hour,
	} {
		t.Run(off.String(), func(t *testing.T) {
			t.Parallel()
			cfg := config()
			cfg.Tokens.Now = func() time.Time { return time.Now().Add(off) }
			replica := kit{Store: newStore(t, k.pool, k.ring, cfg), pool: k.pool}

			session, pair := replica.create(t, sessionstore.CreateParams{})
			for range 2 {
				if _, _, err := replica.Get(t.Context(), string(pair.AccessToken)); err != nil {
					t.Errorf("a fresh access token: %v", err)
				}
				pair = replica.refresh(t, pair.RefreshToken, sessionstore.Rotated)
				replica.age(t, session.ID, time.Minute)
			}

			// Expired by the database's clock.
			replica.age(t, session.ID, 5*time.Minute)
			if _, _, err := replica.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, tokens.ErrExpired) {
				t.Errorf("an expired access token: %v", err)
			}
			// Its session still ends: this replica's clock must not decide that it has expired.
			if err := replica.RevokeToken(t.Context(), string(pair.AccessToken)); err != nil {
				t.Error(err)
			}
			if _, err := replica.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
				t.Errorf("a refresh after the revocation: %v", err)
			}
		})
	}
}

// A database that lost commits knows an older token, whose idle time may be over
// although that of the lost one is not.
func TestLostTokenOutlivesTheRow(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, first := k.create(t, sessionstore.CreateParams{})
	k.exec(t, `CREATE TABLE "backup" AS TABLE "sessionStoreToken"`)
	newest := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	k.exec(t, `DELETE FROM "sessionStoreToken"`)
	k.exec(t, `INSERT INTO "sessionStoreToken" SELECT * FROM "backup"`)
	k.age(t, session.ID, 720*time.Hour)

	if _, _, err := k.Get(t.Context(), string(newest.AccessToken)); err != nil {
		t.Errorf("the lost access token: %v", err)
	}
	if _, err := k.RefreshTokens(t.Context(), string(first.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("the row's own token: %v", err)
	}
	healed := k.refresh(t, newest.RefreshToken, sessionstore.Healed)
	if err := k.Invalidate(t.Context(), session.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := k.RefreshTokens(t.Context(), string(healed.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("after a revocation: %v", err)
	}
}

// After the grace has been raised, a pair can stay fresh for longer than the access token of a session with its own
// short lifetime lives. Old and new settings answer alternately.
func TestGraceRaisedAboveAnAccessTokensLife(t *testing.T) {
	t.Parallel()
	k := setup(t)
	cfg := config()
	cfg.Grace = time.Minute
	raised := kit{Store: newStore(t, k.pool, k.ring, cfg), pool: k.pool}
	session, first := k.create(t, sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{AccessToken: time.Minute, RefreshToken: time.Hour}})
	newest := raised.refresh(t, first.RefreshToken, sessionstore.Rotated)

	for range 2 {
		raised.age(t, session.ID, 58*time.Second)
		again := raised.refresh(t, newest.RefreshToken, sessionstore.StillFresh)
		if left := again.AccessTokenExpiresAt.Sub(again.AnsweredAt); left != time.Minute {
			t.Errorf("the access token is good for %v", left)
		}
		if _, _, err := k.Get(t.Context(), string(again.AccessToken)); err != nil {
			t.Error(err)
		}
		if same := raised.refresh(t, newest.RefreshToken, sessionstore.StillFresh); same.AccessToken != again.AccessToken {
			t.Error("the same row gives other tokens")
		}
	}
	raised.age(t, session.ID, 3*cfg.Grace)
	k.refresh(t, newest.RefreshToken, sessionstore.Rotated)
}

// LATCHKEY_AUDIENCE is changed on one replica after the other. While both answer, a pair gives
// the same tokens on either replica, and both accept them.
func TestAudienceInARollout(t *testing.T) {
	t.Parallel()
	k := setup(t)
	cfg := config()
	cfg.Tokens.Audience = "https://new.example.com"
	newer := kit{Store: newStore(t, k.pool, k.ring, cfg), pool: k.pool}
	for _, order := range [][2]kit{{k, newer}, {newer, k}} {
		answers, next := order[0], order[1]
		session, pair := answers.create(t, sessionstore.CreateParams{})
		for range 3 {
			pair = answers.refresh(t, pair.RefreshToken, sessionstore.Rotated)
			for _, replica := range order {
				if _, _, err := replica.Get(t.Context(), string(pair.AccessToken)); err != nil {
					t.Error(err)
				}
				if again := replica.refresh(t, pair.RefreshToken, sessionstore.StillFresh); again.AccessToken != pair.AccessToken {
					t.Error("another replica gives another access token")
				}
			}
			k.age(t, session.ID, time.Minute)
			answers, next = next, answers
		}
	}

	// A row that an earlier release wrote means the setting of the answering replica.
	_, pair := k.create(t, sessionstore.CreateParams{})
	k.exec(t, `UPDATE "sessionStoreToken" SET "audience" = NULL`)
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); err != nil {
		t.Error(err)
	}
	if _, _, err := newer.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, tokens.ErrWrongAudience) {
		t.Errorf("for another audience: %v", err)
	}
	cfg.Tokens.AcceptedAudiences = []string{config().Tokens.Audience}
	if _, _, err := newStore(t, k.pool, k.ring, cfg).Get(t.Context(), string(pair.AccessToken)); err != nil {
		t.Error(err)
	}
}

// LATCHKEY_REFRESH_GRACE is changed on one replica after the other. A pair that one of
// them hands out as fresh is not replaced by the other, and a pair's uses count from the
// moment set by its issuer, whichever replica answers.
func TestGraceInARollout(t *testing.T) {
	t.Parallel()
	k := setupFrozen(t)
	cfg := config()
	cfg.Grace = grace / 3
	shorter := kit{Store: newStore(t, k.pool, k.ring, cfg), pool: k.pool}
	for _, test := range []struct {
		issuer, other kit
		grace, others time.Duration
	}{{k, shorter, grace, cfg.Grace}, {shorter, k, cfg.Grace, grace}} {
		issuer, other, grace := test.issuer, test.other, test.grace
		session, first := issuer.create(t, sessionstore.CreateParams{})
		pair := issuer.refresh(t, first.RefreshToken, sessionstore.Rotated)
		k.age(t, session.ID, grace-time.Second)
		other.refresh(t, first.RefreshToken, sessionstore.Raced)
		if _, _, err := other.Get(t.Context(), string(first.AccessToken)); err != nil {
			t.Errorf("a replaced access token: %v", err)
		}
		k.age(t, session.ID, 2*time.Second)
		if _, _, err := other.Get(t.Context(), string(first.AccessToken)); !errors.Is(err, sessionstore.ErrSuperseded) {
			t.Errorf("a replaced access token, after its grace: %v", err)
		}
		k.age(t, session.ID, 2*grace-3*time.Second)
		for _, replica := range []kit{k, shorter} {
			replica.refresh(t, pair.RefreshToken, sessionstore.StillFresh)
		}
		k.age(t, session.ID, 3*time.Second)
		next := other.refresh(t, pair.RefreshToken, sessionstore.Rotated)
		k.age(t, session.ID, time.Second)
		issuer.refresh(t, next.RefreshToken, sessionstore.StillFresh)
		k.age(t, session.ID, test.others)
		issuer.refresh(t, pair.RefreshToken, sessionstore.RetriedLate) // no use has counted yet
	}
}
