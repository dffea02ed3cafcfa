package sessionstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// A session without a refresh token ends with its access token, and every view of it
// says so.
func TestNoRefreshToken(t *testing.T) {
	t.Parallel()
	cfg := boundedConfig()
	cfg.SessionsPerSubject = 2
	for name, k := range map[string]kit{"plain": setup(t), "bounded and limited": setupWith(t, cfg)} {
		params := sessionstore.CreateParams{Subject: "ann", NoRefresh: true, IdempotencyKey: "b7a1", Lifetimes: sessionstore.Lifetimes{AccessToken: 10 * time.Minute}}
		session, pair := k.create(t, params)
		if pair.RefreshToken != "" || !pair.RefreshTokenExpiresAt.IsZero() || pair.RefreshExpiresIn() != 0 {
			t.Fatalf("%s: there is a refresh token until %v", name, pair.RefreshTokenExpiresAt)
		}
		if pair.ExpiresIn() != 10*time.Minute || !session.ExpiresAt.Equal(pair.AccessTokenExpiresAt) {
			t.Errorf("%s: the access token is good for %v, the session until %v", name, pair.ExpiresIn(), session.ExpiresAt)
		}
		read, _, err := k.Get(t.Context(), string(pair.AccessToken))
		if err != nil || !read.ExpiresAt.Equal(session.ExpiresAt) {
			t.Errorf("%s: until %v, %v", name, read.ExpiresAt, err)
		}
		again, second := k.create(t, params)
		if again.ID != session.ID || second.RefreshToken != "" || second.AccessToken != pair.AccessToken {
			t.Errorf("%s: sent again, another session or another pair", name)
		}
		page, err := k.List(t.Context(), "ann", sessionstore.ListParams{})
		if err != nil || len(page.Sessions) != 1 || !page.Sessions[0].ExpiresAt.Equal(session.ExpiresAt) {
			t.Errorf("%s: %+v, %v", name, page, err)
		}
		k.exec(t, `UPDATE "sessionStoreToken" SET "expiresAt" = now() - interval '1 s', "accessExpiresAt" = now() - interval '1 s'`)
		if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrEnded) {
			t.Errorf("%s: after its end %v", name, err)
		}
		if page, err := k.List(t.Context(), "ann", sessionstore.ListParams{}); err != nil || len(page.Sessions) != 0 {
			t.Errorf("%s: after its end %+v, %v", name, page, err)
		}
	}
}

// Its end is the earlier one of its access token's and its own.
func TestNoRefreshTokenWithAnEnd(t *testing.T) {
	t.Parallel()
	k := setup(t)
	_, pair := k.create(t, sessionstore.CreateParams{NoRefresh: true, Lifetimes: sessionstore.Lifetimes{Session: time.Minute}})
	if pair.ExpiresIn() != time.Minute || pair.RefreshToken != "" {
		t.Errorf("good for %v", pair.ExpiresIn())
	}
}

// Nothing makes it live longer than the one token with which it could be used. It can be
// renamed and ended like any other.
func TestNoRefreshTokenStaysSo(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{Subject: "ann", NoRefresh: true})
	for want, own := range map[string]sessionstore.Lifetimes{
		"access_token_ttl":  {AccessToken: 20 * time.Minute},
		"refresh_token_ttl": {RefreshToken: time.Hour},
		"session_ttl":       {Session: time.Hour},
	} {
		_, err := k.Patch(t.Context(), session.ID, sessionstore.Patch{Lifetimes: own})
		if e, ok := errors.AsType[*sessionstore.ArgumentError](err); !ok || e.Field != want || e.Problem != "not allowed: the session has no refresh token, and ends with its access token" {
			t.Errorf("%s: %v", want, err)
		}
	}
	label := "desk"
	if got := k.patch(t, session.ID, sessionstore.Patch{Label: &label}); got.Client.Label != "desk" || !got.ExpiresAt.Equal(session.ExpiresAt) {
		t.Errorf("%+v", got)
	}
	if err := k.Invalidate(t.Context(), session.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrEnded) {
		t.Error(err)
	}
}

// It may be bound to a key, share its statement with others, and be acted in.
func TestNoRefreshTokenBesideOthers(t *testing.T) {
	t.Parallel()
	k := setup(t)
	all := []sessionstore.CreateParams{
		{NoRefresh: true, KeyThumbprint: ownKey, Actor: &tokens.Actor{Subject: "support-7"}}, {}, {NoRefresh: true},
	}
	release := k.Hold(t, len(all))
	made := make([]chan sessionstore.TokenPair, len(all))
	for i, params := range all {
		made[i] = make(chan sessionstore.TokenPair, 1)
		go func() {
			_, pair, err := k.Create(t.Context(), params)
			if err != nil {
				t.Error(err)
			}
			made[i] <- pair
		}()
	}
	release()
	for i, params := range all {
		pair := <-made[i]
		if (pair.RefreshToken == "") != params.NoRefresh || pair.KeyThumbprint != params.KeyThumbprint {
			t.Errorf("%d: %v", i, pair)
		}
		if params.NoRefresh {
			continue
		}
		k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	}
}
