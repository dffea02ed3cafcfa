package sessionstore_test

import (
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Where lifetimes are lowered, a session does not idle out before access tokens of it from
// before do; and an access token with its own lifetime does not outlive the session.
func TestLoweredLifetimes(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Lifetimes = sessionstore.Lifetimes{AccessToken: time.Hour}
	k := setupWith(t, cfg)
	cfg.Lifetimes = sessionstore.Lifetimes{AccessToken: time.Minute, RefreshToken: 2 * time.Minute}
	lowered := newStore(t, k.pool, k.ring, cfg)

	var before []sessionstore.TokenPair
	var presented []tokens.Secret
	for range 4 {
		_, pair := k.create(t, sessionstore.CreateParams{})
		before, presented = append(before, pair), append(presented, pair.RefreshToken)
	}
	after := []sessionstore.TokenPair{kit{Store: lowered}.refresh(t, presented[0], sessionstore.Rotated)}
	for _, given := range (kit{Store: lowered, pool: k.pool}).together(t, presented[1:]) {
		if given.err != nil {
			t.Fatal(given.err)
		}
		after = append(after, given.Pair)
	}
	for i, pair := range after {
		// It might have had others before that one.
		if want := before[i].AnsweredAt.Add(sessionstore.MaxAccessTokenTTL); !pair.RefreshTokenExpiresAt.Equal(want) {
			t.Errorf("the session ends at %v, want %v", pair.RefreshTokenExpiresAt, want)
		}
	}

	_, pair := k.create(t, sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{AccessToken: 10 * time.Minute, RefreshToken: 11 * time.Minute}})
	k.exec(t, `UPDATE "sessionStoreToken" SET "refreshTokenTtl" = NULL`) // as where only the access token's is its own
	k.exec(t, `UPDATE "sessionStoreToken" SET "expiresAt" = now() + interval '1 minute'`)
	pair = kit{Store: lowered}.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	if pair.AccessTokenExpiresAt.After(pair.RefreshTokenExpiresAt) {
		t.Errorf("the session ends at %v, its access token at %v", pair.RefreshTokenExpiresAt, pair.AccessTokenExpiresAt)
	}
}
