package sessionstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// guest makes a session without a subject.
func (k kit) guest(t *testing.T) (sessionstore.Session, sessionstore.TokenPair) {
	t.Helper()
	session, pair, err := k.Create(t.Context(), sessionstore.CreateParams{
		Data: []byte(`{"cart": [1, 2]}`), Claims: []byte(`{"role":"guest"}`), Client: sessionstore.Client{Label: "kiosk", UserAgent: "old"},
		Lifetimes: sessionstore.Lifetimes{Session: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	return session, pair
}

func (k kit) replace(t *testing.T, replaced sessionstore.Replaced, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair) {
	t.Helper()
	session, pair, err := k.Replace(t.Context(), replaced, params)
	if err != nil {
		t.Fatal(err)
	}
	return session, pair
}

// wantOver requires the tokens of a replaced session to be invalid, but not a
// theft.
func (k kit) wantOver(t *testing.T, pair sessionstore.TokenPair) {
	t.Helper()
	k.rejected(t, pair, sessionstore.ErrEnded)
	if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) || errors.Is(err, sessionstore.ErrReuse) {
		t.Errorf("the refresh token: %v", err)
	}
}

// replacements are the configurations in which a replacement takes a different path.
func replacements(t *testing.T) map[string]sessionstore.Config {
	t.Helper()
	limited, sealed, computed := config(), sealing(t, newKeyset(t)), config()
	limited.SessionsPerSubject = 1
	sealedAndLimited := sealed
	sealedAndLimited.SessionsPerSubject, sealedAndLimited.SessionsPerSubjectAction = 1, sessionstore.RefuseNew
	computed.LifetimesFor = func(sessionstore.CreateParams) sessionstore.Lifetimes { return sessionstore.Lifetimes{} }
	return map[string]sessionstore.Config{"plain": config(), "limited": limited, "sealed": sealed, "sealed and limited": sealedAndLimited, "computed": computed}
}

// A guest signs in: the guest's tokens are then worthless, and the cart is kept.
func TestReplaceGuest(t *testing.T) {
	t.Parallel()
	for name, cfg := range replacements(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setupWith(t, cfg)
			guest, first := k.guest(t)
			newest := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
			session, pair := k.replace(t, sessionstore.Replaced{SessionID: guest.ID}, sessionstore.CreateParams{Subject: "ann", Client: sessionstore.Client{UserAgent: "new"}})

			got, claims, err := k.Get(t.Context(), string(pair.AccessToken))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, session); diff != "" {
				t.Errorf("another session than the answer has:\n%s", diff)
			}
			if session.ID == guest.ID || claims.Subject != "ann" || session.Subject != "ann" || string(session.Data) != `{"cart": [1, 2]}` {
				t.Errorf("%v %s of %s", session.ID, session.Data, claims.Subject)
			}
			if session.Claims != nil || claims.Custom != "" {
				t.Error("the claims were handed on")
			}
			if want := (sessionstore.Client{Label: "kiosk", UserAgent: "new"}); session.Client != want {
				t.Errorf("client %v", session.Client)
			}
			if left := time.Until(session.ExpiresAt); left < 24*time.Hour {
				t.Errorf("it has the lifetimes of before: %v", left)
			}
			for _, old := range []sessionstore.TokenPair{first, newest} {
				k.wantOver(t, old)
			}
			if n := k.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "session" = $1 AND "revokedAt" IS NULL`, guest.ID); n != 0 {
				t.Error("a token row of the guest's is live")
			}
			old, err := k.Load(t.Context(), guest.ID)
			if want := (sessionstore.Cause{Reason: sessionstore.ReasonReplaced, By: session.ID.String()}); err != nil || old.Ended.Cause != want {
				t.Errorf("it ended for %v, not %v (%v)", old.Ended, want, err)
			}
			k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
			if _, err := k.Update(t.Context(), session.ID, session.Checksum, []byte(`{"cart":[]}`)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Values in the request are not inherited from the old session.
func TestReplaceWithOwn(t *testing.T) {
	t.Parallel()
	for name, cfg := range replacements(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setupWith(t, cfg)
			old, first := k.create(t, sessionstore.CreateParams{Subject: "ann", Data: []byte(`{"n":1}`), KeyThumbprint: strings.Repeat("A", 43), Client: sessionstore.Client{Label: "a"}})
			session, pair := k.replace(t, sessionstore.Replaced{Token: string(first.AccessToken)}, sessionstore.CreateParams{
				Subject: "bob", Data: []byte(`{}`), Claims: []byte(`{"level":2}`), Client: sessionstore.Client{Label: "b"},
			})
			if session.Subject != "bob" || string(session.Data) != `{}` || string(session.Claims) != `{"level":2}` || session.Client.Label != "b" || pair.KeyThumbprint != "" {
				t.Errorf("%+v", session)
			}
			loaded, err := k.Load(t.Context(), session.ID)
			if err != nil || string(loaded.Data) != `{}` || loaded.Checksum != session.Checksum {
				t.Errorf("stored as %s (%v)", loaded.Data, err)
			}
			if old, err := k.Load(t.Context(), old.ID); err != nil || old.RevokedAt.IsZero() || string(old.Data) != `{"n": 1}` && string(old.Data) != `{"n":1}` {
				t.Errorf("the session before: %+v (%v)", old, err)
			}
		})
	}
}

// The session may be named by each of its tokens, and keeps its subject.
func TestReplaceByToken(t *testing.T) {
	t.Parallel()
	for name, cfg := range replacements(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setupWith(t, cfg)
			for what, token := range map[string]func(before, after sessionstore.TokenPair) tokens.Secret{
				"access": func(_, p sessionstore.TokenPair) tokens.Secret { return p.AccessToken }, "refresh": func(_, p sessionstore.TokenPair) tokens.Secret { return p.RefreshToken },
				"earlier refresh": func(p, _ sessionstore.TokenPair) tokens.Secret { return p.RefreshToken },
			} {
				subject := "user " + what
				_, first := k.create(t, sessionstore.CreateParams{Subject: subject, Data: []byte(`{"n":1.50}`)})
				newest := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
				session, _ := k.replace(t, sessionstore.Replaced{Token: string(token(first, newest))}, sessionstore.CreateParams{})
				if session.Subject != subject || !strings.Contains(string(session.Data), "1.50") {
					t.Errorf("%s: %+v", what, session)
				}
				k.wantOver(t, newest)
			}
		})
	}
}

// A session that cannot be replaced is not changed, and nothing is created.
func TestReplaceRefused(t *testing.T) {
	t.Parallel()
	for name, cfg := range replacements(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setupWith(t, cfg)
			live, pair := k.create(t, sessionstore.CreateParams{Subject: "live"})
			revoked, _ := k.create(t, sessionstore.CreateParams{Subject: "revoked"})
			if err := k.Invalidate(t.Context(), revoked.ID); err != nil {
				t.Fatal(err)
			}
			idle, _ := k.create(t, sessionstore.CreateParams{Subject: "idle"})
			k.age(t, idle.ID, 721*time.Hour)
			short, shorts := k.create(t, sessionstore.CreateParams{Subject: "short", Lifetimes: sessionstore.Lifetimes{AccessToken: time.Minute}})
			otherCfg := cfg
			otherCfg.Tokens.Issuer = "https://other.example.com"
			_, foreign, err := newStore(t, k.pool, k.ring, otherCfg).Create(t.Context(), sessionstore.CreateParams{Subject: "foreign"})
			if err != nil {
				t.Fatal(err)
			}
			expired := k.expiredAccessToken(t, short, shorts)
			sessions := k.count(t, `SELECT count(*) FROM "sessionStore"`)
			isLive := k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "revokedAt" IS NULL`)

			for what, test := range map[string]struct {
				replaced sessionstore.Replaced
				want     error
			}{
				"revoked":         {sessionstore.Replaced{SessionID: revoked.ID}, sessionstore.ErrNotReplaceable},
				"idle":            {sessionstore.Replaced{SessionID: idle.ID}, sessionstore.ErrNotReplaceable},
				"unknown":         {sessionstore.Replaced{SessionID: uuid.New()}, sessionstore.ErrNotReplaceable},
				"nothing":         {sessionstore.Replaced{}, sessionstore.ErrInvalidArgument},
				"no token":        {sessionstore.Replaced{Token: "no token"}, sessionstore.ErrInvalidArgument},
				"another issuer":  {sessionstore.Replaced{Token: string(foreign.RefreshToken)}, sessionstore.ErrInvalidArgument},
				"expired token":   {sessionstore.Replaced{Token: string(expired)}, sessionstore.ErrInvalidArgument},
				"two sessions":    {sessionstore.Replaced{SessionID: idle.ID, Token: string(pair.AccessToken)}, sessionstore.ErrInvalidArgument},
				"another version": {sessionstore.Replaced{SessionID: live.ID, Checksum: "x"}, sessionstore.ErrConflict},
			} {
				for _, subject := range []string{"", "ann"} {
					_, _, err := k.Replace(t.Context(), test.replaced, sessionstore.CreateParams{Subject: subject})
					if !errors.Is(err, test.want) {
						t.Errorf("%s: %v, want %v", what, err, test.want)
					}
					if e, ok := errors.AsType[*sessionstore.ArgumentError](err); ok && e.Field != "replaces" {
						t.Errorf("%s: the member %s is at fault", what, e.Field)
					}
				}
			}
			if n := k.count(t, `SELECT count(*) FROM "sessionStore"`); n != sessions {
				t.Errorf("%d sessions were made", n-sessions)
			}
			if n := k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "revokedAt" IS NULL`); n != isLive {
				t.Errorf("%d sessions were ended", isLive-n)
			}
		})
	}
}

// expiredAccessToken is a token of a session that continues.
func (k kit) expiredAccessToken(t *testing.T, session sessionstore.Session, pair sessionstore.TokenPair) tokens.Secret {
	t.Helper()
	signer, err := tokens.NewSigner(k.ring, config().Tokens)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := k.VerifyRefreshToken(string(pair.RefreshToken))
	if err != nil {
		t.Fatal(err)
	}
	claims.Type, claims.ExpiresAt = tokens.AccessToken, time.Now().Add(-time.Second)
	claims.IssuedAt = claims.ExpiresAt.Add(-time.Minute)
	claims.SessionID = session.ID
	token, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// A replacement whose answer was lost may be sent again, and gives the same session. A
// different request does not lead to it.
func TestReplaceAgain(t *testing.T) {
	t.Parallel()
	for name, cfg := range replacements(t) {
		for _, key := range []string{"", "b7a1"} {
			t.Run(name+" by "+key, func(t *testing.T) {
				t.Parallel()
				k := setupWith(t, cfg)
				guest, old := k.guest(t)
				params := sessionstore.CreateParams{Subject: "ann", IdempotencyKey: key}
				session, pair := k.replace(t, sessionstore.Replaced{SessionID: guest.ID}, params)
				for range 2 {
					again, same := k.replace(t, sessionstore.Replaced{Token: string(old.RefreshToken)}, params)
					if again.ID != session.ID || again.Checksum != session.Checksum || same.RefreshToken != pair.RefreshToken || same.AccessToken != pair.AccessToken {
						t.Errorf("another session: %v, not %v", again.ID, session.ID)
					}
				}
				reused := sessionstore.ErrIdempotencyKeyReused
				if key == "" {
					reused = sessionstore.ErrNotReplaceable
				}
				for what, change := range map[string]func(*sessionstore.CreateParams){
					"subject": func(p *sessionstore.CreateParams) { p.Subject = "" }, "data": func(p *sessionstore.CreateParams) { p.Data = []byte(`{}`) },
					"claims": func(p *sessionstore.CreateParams) { p.Claims = []byte(`{"a":1}`) },
				} {
					other := params
					change(&other)
					if _, _, err := k.Replace(t.Context(), sessionstore.Replaced{SessionID: guest.ID}, other); !errors.Is(err, reused) {
						t.Errorf("another %s: %v, want %v", what, err, reused)
					}
				}
				other := params
				other.IdempotencyKey = "another"
				if _, _, err := k.Replace(t.Context(), sessionstore.Replaced{SessionID: guest.ID}, other); !errors.Is(err, sessionstore.ErrNotReplaceable) {
					t.Errorf("another key: %v", err)
				}
				if n := k.count(t, `SELECT count(*) FROM "sessionStore"`); n != 2 {
					t.Errorf("there are %d sessions", n)
				}

				k.age(t, session.ID, 46*time.Second) // 3 graces
				switch _, _, err := k.Replace(t.Context(), sessionstore.Replaced{SessionID: guest.ID}, params); {
				case key == "" && !errors.Is(err, sessionstore.ErrNotReplaceable):
					t.Errorf("much later: %v", err)
				case key != "" && err != nil:
					t.Errorf("much later, by its key: %v", err)
				}
			})
		}
	}
}

// The limit of a subject's sessions counts a session and the one in its place as one.
func TestReplaceWithinLimit(t *testing.T) {
	t.Parallel()
	for _, action := range []sessionstore.LimitAction{sessionstore.EndOldest, sessionstore.RefuseNew} {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			cfg := config()
			cfg.SessionsPerSubject, cfg.SessionsPerSubjectAction = 2, action
			k := setupWith(t, cfg)
			first, _ := k.create(t, sessionstore.CreateParams{Subject: "ann"})
			second, _ := k.create(t, sessionstore.CreateParams{Subject: "ann"})
			renewed, _ := k.replace(t, sessionstore.Replaced{SessionID: second.ID}, sessionstore.CreateParams{Subject: "ann"})
			k.wantLive(t, "ann", first.ID, renewed.ID)
			renewed2, _ := k.replace(t, sessionstore.Replaced{SessionID: first.ID}, sessionstore.CreateParams{})
			k.wantLive(t, "ann", renewed.ID, renewed2.ID)

			// A guest becomes the third.
			guest, old := k.guest(t)
			third, _, err := k.Replace(t.Context(), sessionstore.Replaced{SessionID: guest.ID}, sessionstore.CreateParams{Subject: "ann"})
			if action == sessionstore.EndOldest {
				if err != nil {
					t.Fatal(err)
				}
				k.wantLive(t, "ann", renewed2.ID, third.ID)
				k.wantOver(t, old)
				return
			}
			if !errors.Is(err, sessionstore.ErrTooManySessions) {
				t.Errorf("a third session: %v", err)
			}
			k.wantLive(t, "ann", renewed.ID, renewed2.ID)
			if _, _, err := k.Get(t.Context(), string(old.AccessToken)); err != nil {
				t.Errorf("the guest's session, which stays: %v", err)
			}
		})
	}
}

// A replacement that fails signs nobody out.
func TestReplaceRefusedEndsNobody(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.SessionsPerSubject = 1
	k := setupWith(t, cfg)
	ended, _ := k.guest(t)
	if err := k.Invalidate(t.Context(), ended.ID); err != nil {
		t.Fatal(err)
	}
	only, _ := k.create(t, sessionstore.CreateParams{Subject: "ann"})
	if _, _, err := k.Replace(t.Context(), sessionstore.Replaced{SessionID: ended.ID}, sessionstore.CreateParams{Subject: "ann"}); !errors.Is(err, sessionstore.ErrNotReplaceable) {
		t.Fatal(err)
	}
	k.wantLive(t, "ann", only.ID)
}

// Data that cannot be opened is not inherited; that is fine only if it is not needed.
func TestReplaceSealed(t *testing.T) {
	t.Parallel()
	k := setupWith(t, sealing(t, newKeyset(t)))
	old, _ := k.create(t, sessionstore.CreateParams{Subject: "ann", Data: []byte(`{"n":1}`)})
	for name, cfg := range map[string]sessionstore.Config{"without a key": config(), "with another key": sealing(t, newKeyset(t))} {
		store := newStore(t, k.pool, k.ring, cfg)
		_, _, err := store.Replace(t.Context(), sessionstore.Replaced{SessionID: old.ID}, sessionstore.CreateParams{})
		if _, ok := errors.AsType[*sessionstore.SealedError](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := k.Load(t.Context(), old.ID); err != nil || !got.RevokedAt.IsZero() {
		t.Errorf("it has ended: %v", err)
	}
	if _, _, err := newStore(t, k.pool, k.ring, config()).Replace(t.Context(), sessionstore.Replaced{SessionID: old.ID}, sessionstore.CreateParams{Data: []byte(`{}`)}); err != nil {
		t.Errorf("without its data: %v", err)
	}
}

// Data is compared with what was read, even if it was resealed since.
func TestReplaceVersion(t *testing.T) {
	t.Parallel()
	keys := newKeyset(t)
	for name, cfg := range map[string]sessionstore.Config{"plain": config(), "sealed": sealing(t, keys)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setupWith(t, cfg)
			old, _ := k.create(t, sessionstore.CreateParams{Data: []byte(`{"n":1}`)})
			replaced := sessionstore.Replaced{SessionID: old.ID, Checksum: old.Checksum}
			next, err := k.Update(t.Context(), old.ID, old.Checksum, []byte(`{"n":2}`))
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = k.Replace(t.Context(), replaced, sessionstore.CreateParams{Data: []byte(`{"n":3}`)})
			if e, ok := errors.AsType[*sessionstore.ConflictError](err); !ok || e.Checksum != next {
				t.Errorf("%v, want the conflict with %s", err, next)
			}
			replaced.Checksum = next
			if session, _ := k.replace(t, replaced, sessionstore.CreateParams{Data: []byte(`{"n":3}`)}); string(session.Data) != `{"n":3}` {
				t.Errorf("data %s", session.Data)
			}
		})
	}
}

// Observers are notified of both sessions.
func TestReplaceObserved(t *testing.T) {
	t.Parallel()
	cfg := config()
	results := make(chan sessionstore.Result, 8)
	cfg.Observers = []sessionstore.Observer{resultsTo{results}}
	cfg.Clients = []sessionstore.OAuthClient{{ID: "agent"}}
	k := setupWith(t, cfg)
	old, _ := k.create(t, sessionstore.CreateParams{Subject: "ann"})
	<-results
	actor := &tokens.Actor{Subject: "support-7"}
	params := sessionstore.CreateParams{Subject: "ben", ClientID: "agent", Actor: actor}
	session, _ := k.replace(t, sessionstore.Replaced{SessionID: old.ID}, params)
	want := sessionstore.Result{
		Operation: sessionstore.OperationCreate, Changed: session.ID, Subject: "ben", ClientID: "agent", Actor: actor,
		Replaced: old.ID, ReplacedSubject: "ann", ReplacedClientID: "app",
	}
	if diff := cmp.Diff(want, <-results); diff != "" {
		t.Error(diff)
	}
	k.replace(t, sessionstore.Replaced{SessionID: old.ID}, params) // again
	if diff := cmp.Diff(sessionstore.Result{Operation: sessionstore.OperationCreate, Subject: "ben", Actor: actor}, <-results); diff != "" {
		t.Error(diff)
	}
}

// A replacement is one round trip if nothing of the old session has to pass through the
// program, and two if it must be read first.
func TestReplaceRoundTrips(t *testing.T) {
	t.Parallel()
	type params = sessionstore.CreateParams
	limited, sealed, lifetimesFor, claimsFor := config(), sealing(t, newKeyset(t)), config(), config()
	limited.SessionsPerSubject = 10
	lifetimesFor.LifetimesFor = func(params) sessionstore.Lifetimes { return sessionstore.Lifetimes{Session: 90 * time.Hour} }
	claimsFor.ClaimsFor = func(_ context.Context, p params) ([]byte, error) {
		return fmt.Appendf(nil, `{"of":%q}`, p.Subject), nil
	}
	everything := limited
	everything.Sealer, everything.LifetimesFor, everything.ClaimsFor = sealed.Sealer, lifetimesFor.LifetimesFor, claimsFor.ClaimsFor
	data, label := []byte(`{"n":1}`), sessionstore.Client{Label: "phone"}
	all := sessionstore.Lifetimes{AccessToken: 10 * time.Minute, RefreshToken: time.Hour, Session: 2 * time.Hour}
	for name, test := range map[string]struct {
		cfg     sessionstore.Config
		params  params
		byToken bool
		want    int64
	}{
		"plain":                                  {config(), params{}, false, 1},
		"sign-in":                                {config(), params{Subject: "ann"}, false, 1},
		"limited sign-in":                        {limited, params{Subject: "ann"}, false, 1},
		"limited, subject to read":               {limited, params{}, false, 2},
		"limited, subject told by a token":       {limited, params{}, true, 1},
		"sealed, with data":                      {sealed, params{Subject: "ann", Data: data}, false, 1},
		"sealed, with the data read":             {sealed, params{Subject: "ann"}, true, 2},
		"lifetimes asked for":                    {lifetimesFor, params{Subject: "ann"}, true, 2},
		"lifetimes asked for, label to read":     {lifetimesFor, params{Subject: "ann", Data: data}, false, 2},
		"lifetimes asked for, subject to read":   {lifetimesFor, params{Data: data, Client: label}, false, 2},
		"lifetimes asked for, nothing to read":   {lifetimesFor, params{Data: data, Client: label}, true, 1},
		"one lifetime asked for":                 {lifetimesFor, params{Lifetimes: sessionstore.Lifetimes{AccessToken: all.AccessToken, RefreshToken: all.RefreshToken}}, false, 2},
		"lifetimes given":                        {lifetimesFor, params{Lifetimes: all}, false, 1},
		"claims asked for":                       {claimsFor, params{Subject: "ann"}, false, 2},
		"claims asked for, nothing to read":      {claimsFor, params{Subject: "ann", Data: data, Client: label}, false, 1},
		"claims given":                           {claimsFor, params{Claims: roleOf("editor")}, false, 1},
		"none given, which is an answer, too":    {claimsFor, params{Claims: []byte(`{}`)}, false, 1},
		"everything at once":                     {everything, params{}, false, 2},
		"everything at once, nothing to read":    {everything, params{Data: data, Client: label}, true, 1},
		"everything at once, by id, all is told": {everything, params{Subject: "ann", Data: data, Client: label}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, trips := one(t, test.cfg)
			session, pair, err := store.Create(t.Context(), params{Subject: "ann", Data: []byte(`{"n": 0}`), Client: label})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 5 {
				replaced := sessionstore.Replaced{SessionID: session.ID}
				if test.byToken {
					replaced = sessionstore.Replaced{Token: string([]tokens.Secret{pair.AccessToken, pair.RefreshToken}[i%2])}
				}
				before := trips.Load()
				if session, pair, err = store.Replace(t.Context(), replaced, test.params); err != nil {
					t.Fatal(err)
				}
				if got := trips.Load() - before; i > 0 && got != test.want { // first, it is prepared
					t.Errorf("%d round trips, want %d", got, test.want)
				}
				if session.Subject != "ann" || session.Client.Label != "phone" {
					t.Errorf("it is of %q, with the label %q", session.Subject, session.Client.Label)
				}
				if test.cfg.ClaimsFor != nil && len(test.params.Claims) == 0 && string(session.Claims) != `{"of":"ann"}` {
					t.Errorf("claims %s", session.Claims)
				}
			}
		})
	}
}

// The limit counts a session whose subject only its token has told, and not a guest's.
func TestReplaceByTokenWithinLimit(t *testing.T) {
	t.Parallel()
	for _, action := range []sessionstore.LimitAction{sessionstore.EndOldest, sessionstore.RefuseNew} {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			k := setupWith(t, config()) // without a limit, which comes later
			var ids []uuid.UUID
			var newest sessionstore.TokenPair
			for range 3 {
				session, pair := k.create(t, sessionstore.CreateParams{Subject: "ann"})
				ids, newest = append(ids, session.ID), pair
			}
			_, guests := k.guest(t)
			cfg := config()
			cfg.SessionsPerSubject, cfg.SessionsPerSubjectAction = 1, action
			limited := newStore(t, k.pool, k.ring, cfg)
			renewed, _, err := limited.Replace(t.Context(), sessionstore.Replaced{Token: string(newest.AccessToken)}, sessionstore.CreateParams{})
			if action == sessionstore.EndOldest {
				if err != nil {
					t.Fatal(err)
				}
				k.wantLive(t, "ann", renewed.ID)
			} else {
				if !errors.Is(err, sessionstore.ErrTooManySessions) {
					t.Errorf("a second session in addition to two others: %v", err)
				}
				k.wantLive(t, "ann", ids...)
			}
			again, _, err := limited.Replace(t.Context(), sessionstore.Replaced{Token: string(guests.RefreshToken)}, sessionstore.CreateParams{})
			if err != nil || again.Subject != "" {
				t.Errorf("a guest is renewed: %+v, %v", again, err)
			}
			k.wantOver(t, guests)
		})
	}
}

// A session of Compas is replaced by its id or its tokens, and these are refused then.
func TestReplaceCompas(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	for _, by := range []func(compasPair) sessionstore.Replaced{
		func(p compasPair) sessionstore.Replaced { return sessionstore.Replaced{SessionID: p.session} },
		func(p compasPair) sessionstore.Replaced { return sessionstore.Replaced{Token: string(p.access)} },
		func(p compasPair) sessionstore.Replaced { return sessionstore.Replaced{Token: string(p.refresh)} },
	} {
		old := c.signIn(t, `{"n":1}`)
		session, pair := c.replace(t, by(old), sessionstore.CreateParams{Subject: "ann"})
		if string(session.Data) != `{"n": 1}` {
			t.Errorf("data %s", session.Data)
		}
		c.rejected(t, old.access, sessionstore.ErrEnded)
		c.refused(t, old.refresh, sessionstore.ErrEnded)
		c.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	}
	unknown := compasToken(refreshClaim, uuid.New(), time.Now().Add(time.Hour))
	if _, _, err := c.Replace(t.Context(), sessionstore.Replaced{Token: string(unknown)}, sessionstore.CreateParams{}); !errors.Is(err, sessionstore.ErrNotReplaceable) {
		t.Errorf("a row that is gone: %v", err)
	}
}

// resultsTo is an observer that passes its results on.
type resultsTo struct{ results chan<- sessionstore.Result }

func (resultsTo) Begin(ctx context.Context, _ sessionstore.Operation) context.Context { return ctx }

func (r resultsTo) End(_ context.Context, result sessionstore.Result) { r.results <- result }
