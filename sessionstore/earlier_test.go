package sessionstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// createEarlier makes a session with rows as written by a release that knew neither
// claims nor clients.
func (k kit) createEarlier(t *testing.T) (sessionstore.Session, sessionstore.TokenPair) {
	t.Helper()
	session, pair := k.create(t, sessionstore.CreateParams{Subject: "ann", Data: []byte(`{"cart": [1]}`)})
	k.exec(t, `UPDATE "sessionStoreToken" SET "claims" = NULL, "client" = NULL, "audience" = NULL WHERE "session" = $1`, session.ID)
	return session, pair
}

// Everything works for sessions that an earlier release made.
func TestRowsOfAnEarlierRelease(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(t *testing.T, k kit, session sessionstore.Session, pair sessionstore.TokenPair){
		"read and listed": func(t *testing.T, k kit, session sessionstore.Session, pair sessionstore.TokenPair) {
			t.Helper()
			got, _, err := k.Get(t.Context(), string(pair.AccessToken))
			page, errList := k.List(t.Context(), "ann", sessionstore.ListParams{})
			if err != nil || errList != nil || len(page.Sessions) != 1 {
				t.Fatalf("%+v, %v, %v", page, err, errList)
			}
			for _, s := range []sessionstore.Session{got, page.Sessions[0]} {
				if s.ID != session.ID || s.ClientID != "app" || s.Claims != nil || s.Context != (tokens.Context{}) {
					t.Errorf("%+v", s)
				}
			}
		},
		"given claims": func(t *testing.T, k kit, session sessionstore.Session, pair sessionstore.TokenPair) {
			t.Helper()
			_, checksum, err := k.LoadClaims(t.Context(), session.ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := k.SetClaims(t.Context(), session.ID, checksum, []byte(`{"scope":"orders:read"}`), sessionstore.SetClaimsOptions{Supersede: true}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrSuperseded) {
				t.Errorf("the access token from before: %v", err)
			}
			options := sessionstore.RefreshOptions{Scope: "orders:read", ClientID: "app", Resources: []string{config().Tokens.Audience}}
			got, err := k.RefreshTokensWith(t.Context(), string(pair.RefreshToken), options)
			if err != nil || got.Pair.Scope != "orders:read" || k.claimsOf(t, got.Pair) != `{"scope":"orders:read"}` {
				t.Errorf("%+v, %v", got, err)
			}
		},
		"replaced": func(t *testing.T, k kit, _ sessionstore.Session, pair sessionstore.TokenPair) {
			t.Helper()
			params, want := acted()
			params.Subject = ""
			session, next := k.replace(t, sessionstore.Replaced{Token: string(pair.RefreshToken)}, params)
			if session.Subject != "ann" || string(session.Data) != `{"cart": [1]}` || session.Actor.Subject != want.Actor.Subject {
				t.Errorf("%+v", session)
			}
			if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
				t.Errorf("the token from before: %v", err)
			}
			k.refresh(t, next.RefreshToken, sessionstore.Rotated)
		},
		"patched": func(t *testing.T, k kit, session sessionstore.Session, pair sessionstore.TokenPair) {
			t.Helper()
			patched := k.patch(t, session.ID, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{AccessToken: 10 * time.Minute}})
			if got := k.refresh(t, pair.RefreshToken, sessionstore.Rotated); patched.ClientID != "app" || got.ExpiresIn() != 10*time.Minute {
				t.Errorf("of %q, for %v", patched.ClientID, got.ExpiresIn())
			}
		},
		"asked for": func(t *testing.T, k kit, _ sessionstore.Session, pair sessionstore.TokenPair) {
			t.Helper()
			cfg := earlierConfig()
			cfg.PairFor = pairForEditors
			k.Store = newStore(t, k.pool, k.ring, cfg)
			if got := k.claimsOf(t, k.refresh(t, pair.RefreshToken, sessionstore.Rotated)); got != `{"role":"editor"}` {
				t.Errorf("%s", got)
			}
		},
		"another client's": func(t *testing.T, k kit, _ sessionstore.Session, pair sessionstore.TokenPair) {
			t.Helper()
			_, err := k.RefreshTokensWith(t.Context(), string(pair.RefreshToken), sessionstore.RefreshOptions{ClientID: "agent"})
			if !errors.Is(err, sessionstore.ErrOtherClient) {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setupWith(t, earlierConfig())
			session, pair := k.createEarlier(t)
			do(t, k, session, pair)
		})
	}
}

func earlierConfig() sessionstore.Config {
	cfg := config()
	cfg.Clients = []sessionstore.OAuthClient{{ID: "agent"}}
	return cfg
}
