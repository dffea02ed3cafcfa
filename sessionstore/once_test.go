package sessionstore_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// sameKey is a creation by a key.
func sameKey() sessionstore.CreateParams {
	return sessionstore.CreateParams{
		Subject: "ann", Data: []byte(`{"n":1}`), Claims: []byte(`{"role":"admin"}`), IdempotencyKey: "b7a1",
		Client: sessionstore.Client{Label: "laptop", IP: "192.0.2.1"}, Lifetimes: sessionstore.Lifetimes{RefreshToken: time.Hour},
	}
}

// A creation whose answer was lost may be sent again.
func TestCreateAgain(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]sessionstore.Config{"plain": config(), "sealed": sealing(t, newKeyset(t))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setupWith(t, cfg)
			session, pair := k.create(t, sameKey())
			again := sameKey()
			again.Data = []byte(` {"n": 1.0} `) // the same content
			got, second := k.create(t, again)
			got.Data, got.LastClient = session.Data, session.LastClient
			if diff := cmp.Diff(session, got); diff != "" {
				t.Error(diff)
			}
			if second.AccessToken != pair.AccessToken || second.RefreshToken != pair.RefreshToken || second.ExpiresIn() > pair.ExpiresIn() {
				t.Errorf("another pair: %v, not %v", second, pair)
			}

			for what, change := range map[string]func(*sessionstore.CreateParams){
				"subject":  func(p *sessionstore.CreateParams) { p.Subject = "bob" },
				"data":     func(p *sessionstore.CreateParams) { p.Data = []byte(`{"n":2}`) },
				"claim":    func(p *sessionstore.CreateParams) { p.Claims = []byte(`{"role":"guest"}`) },
				"label":    func(p *sessionstore.CreateParams) { p.Client.Label = "phone" },
				"lifetime": func(p *sessionstore.CreateParams) { p.Lifetimes.RefreshToken *= 2 },
				"key":      func(p *sessionstore.CreateParams) { p.KeyThumbprint = strings.Repeat("A", 43) },
				"actor":    func(p *sessionstore.CreateParams) { p.Actor = &tokens.Actor{Subject: "support-7"} },
				"acr":      func(p *sessionstore.CreateParams) { p.Authentication = &tokens.Authentication{ACR: "gold"} },
				"client":   func(p *sessionstore.CreateParams) { p.ClientID = "app" }, // which is the first one
				"kind":     func(p *sessionstore.CreateParams) { p.NoRefresh, p.Lifetimes = true, sessionstore.Lifetimes{} },
			} {
				other := sameKey()
				change(&other)
				if _, _, err := k.Create(t.Context(), other); !errors.Is(err, sessionstore.ErrIdempotencyKeyReused) {
					t.Errorf("another %s: %v", what, err)
				}
			}
			if n := k.count(t, `SELECT count(*) FROM "sessionStore"`); n != 1 {
				t.Errorf("there are %d sessions", n)
			}

			// A refresh means that an answer arrived: then the present pair is returned.
			newest := k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
			if _, third := k.create(t, sameKey()); third.RefreshToken != newest.RefreshToken {
				t.Error("not the present pair")
			}
			if err := k.Invalidate(t.Context(), session.ID); err != nil {
				t.Fatal(err)
			}
			if _, _, err := k.Create(t.Context(), sameKey()); !errors.Is(err, sessionstore.ErrEnded) {
				t.Errorf("of a session that has ended: %v", err)
			}
			k.exec(t, `DELETE FROM "sessionStore"`)
			if got, _ := k.create(t, sameKey()); got.ID == session.ID {
				t.Error("a session that is gone has come back")
			}
		})
	}
}

// Two replicas are sent one creation at once, and make one session.
func TestCreateAgainAtOnce(t *testing.T) {
	t.Parallel()
	limited := config()
	limited.SessionsPerSubject = 3
	for name, cfg := range map[string]sessionstore.Config{"any number": config(), "a limit": limited} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setupWith(t, cfg)
			stores := []*sessionstore.Store{k.Store, newStore(t, k.pool, k.ring, cfg)}
			before, _ := k.create(t, sessionstore.CreateParams{Subject: "ann"})
			for range 10 {
				params := sameKey()
				params.IdempotencyKey += strings.Repeat("x", k.count(t, `SELECT count(*) FROM "sessionStore"`))
				const calls = 8
				sessions, pairs := make([]sessionstore.Session, calls), make([]sessionstore.TokenPair, calls)
				together(calls, func(i int) {
					var err error
					if sessions[i], pairs[i], err = stores[i%2].Create(t.Context(), params); err != nil {
						t.Error(err)
					}
				})
				for i := range calls {
					if sessions[i].ID != sessions[0].ID || pairs[i].AccessToken != pairs[0].AccessToken || pairs[i].RefreshToken != pairs[0].RefreshToken {
						t.Fatalf("call %d: session %s, not %s", i, sessions[i].ID, sessions[0].ID)
					}
				}
			}
			if n := k.count(t, `SELECT count(*) FROM "sessionStore"`); n != 11 {
				t.Errorf("there are %d sessions, not 11", n)
			}
			live := k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "revokedAt" IS NULL`)
			if want := map[string]int{"any number": 11, "a limit": 3}[name]; live != want {
				t.Errorf("%d sessions of %s are live, not %d", live, before.Subject, want)
			}
		})
	}
}

// Of different requests with one key that arrive at once, at two replicas, one succeeds. Its
// sender gets the session, and all others learn that the key is in use.
func TestOtherCreationsAtOnce(t *testing.T) {
	t.Parallel()
	limited := config()
	limited.SessionsPerSubject = 3
	for name, cfg := range map[string]sessionstore.Config{"any number": config(), "a limit": limited, "sealed data": sealing(t, newKeyset(t))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setupWith(t, cfg)
			stores := []*sessionstore.Store{k.Store, newStore(t, k.pool, k.ring, cfg)}
			for round := range 10 {
				const calls, bodies = 9, 3
				var got [calls]sessionstore.Session
				var pairs [calls]sessionstore.TokenPair
				var errs [calls]error
				together(calls, func(i int) {
					params := sameKey()
					params.IdempotencyKey = fmt.Sprint("round ", round)
					params.Subject = fmt.Sprint("user ", i%bodies)
					got[i], pairs[i], errs[i] = stores[i%2].Create(t.Context(), params)
				})
				winner := slices.Index(errs[:], nil)
				if winner < 0 {
					t.Fatalf("nobody has a session: %v", errs)
				}
				for i := range calls {
					isSame := i%bodies == winner%bodies
					switch {
					case isSame && (errs[i] != nil || got[i].ID != got[winner].ID || got[i].Subject != fmt.Sprint("user ", i%bodies) || pairs[i].RefreshToken != pairs[winner].RefreshToken):
						t.Errorf("call %d, sent again: %+v, %v", i, got[i], errs[i])
					case !isSame && !errors.Is(errs[i], sessionstore.ErrIdempotencyKeyReused):
						t.Errorf("call %d, another one: %v", i, errs[i])
					}
				}
				if n := k.count(t, `SELECT count(*) FROM "sessionStore"`); n != round+1 {
					t.Fatalf("there are %d sessions, not %d", n, round+1)
				}
			}
		})
	}
}

// A creation that is sent again ends no session, and is not refused, at the limit.
func TestCreateAgainAtTheLimit(t *testing.T) {
	t.Parallel()
	for _, action := range []sessionstore.LimitAction{sessionstore.EndOldest, sessionstore.RefuseNew} {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			cfg := config()
			cfg.SessionsPerSubject, cfg.SessionsPerSubjectAction = 2, action
			k := setupWith(t, cfg)
			k.create(t, sessionstore.CreateParams{Subject: "ann"})
			session, _ := k.create(t, sameKey())
			if again, _ := k.create(t, sameKey()); again.ID != session.ID {
				t.Error("another session")
			}
			if n := k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "revokedAt" IS NULL`); n != 2 {
				t.Errorf("%d sessions are live", n)
			}
		})
	}
}

// A session that has since expired is not returned.
func TestCreateAgainAfterTheEnd(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, _ := k.create(t, sameKey())
	k.age(t, session.ID, sameKey().Lifetimes.RefreshToken+time.Second)
	if _, _, err := k.Create(t.Context(), sameKey()); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("of a session that has expired: %v", err)
	}
	next := sameKey()
	next.IdempotencyKey += "2"
	replaced, _ := k.create(t, next)
	if _, _, err := k.Replace(t.Context(), sessionstore.Replaced{SessionID: replaced.ID}, sessionstore.CreateParams{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.Create(t.Context(), next); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("of a session that was replaced: %v", err)
	}
}
