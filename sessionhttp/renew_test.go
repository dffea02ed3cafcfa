package sessionhttp_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/dataseal"
	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// asGuest has a session without a subject, with a full cart.
func (k kit) asGuest(t *testing.T) kit {
	t.Helper()
	session, pair, err := k.store.Create(t.Context(), sessionstore.CreateParams{Data: []byte(`{"items":["tea"],"unknown":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	k.session, k.access, k.refresh = session, string(pair.AccessToken), string(pair.RefreshToken)
	return k
}

// A guest signs in: the guest's tokens give no access to the user's session, and the
// cart is kept.
func TestGuestSignsIn(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{}).asGuest(t)
	guest := k.session.ID
	signIn := func(w http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		update(r.Context(), t, session, func(c *cart) { c.Items = append(c.Items, "milk") })
		pair, err := session.Renew(r.Context(), sessionstore.CreateParams{Subject: "bob"})
		if err != nil {
			t.Error(err)
			return
		}
		if session.Info.Subject != "bob" || session.Info.ID == guest {
			t.Errorf("session %+v", session.Info)
		}
		update(r.Context(), t, session, func(c *cart) { c.Items = append(c.Items, "jam") }) // of the new session
		http.SetCookie(w, &http.Cookie{Name: "access", Value: string(pair.AccessToken), HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode})
		w.WriteHeader(http.StatusNoContent)
	}
	answer := k.serve(t, signIn)
	if answer.Code != http.StatusNoContent {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	if w := k.serve(t, signIn); w.Code != http.StatusUnauthorized {
		t.Errorf("with the guest's token: %d", w.Code)
	}
	if _, err := k.store.RefreshTokens(t.Context(), k.refresh, sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) || errors.Is(err, sessionstore.ErrReuse) {
		t.Errorf("the guest's refresh token: %v", err)
	}
	k.access = answer.Result().Cookies()[0].Value
	w := k.serve(t, func(w http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		if items := session.Read().Items; len(items) != 3 || items[2] != "jam" || session.Claims.Subject != "bob" {
			t.Errorf("%v of %s", items, session.Claims.Subject)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if w.Code != http.StatusNoContent {
		t.Errorf("with the user's token: %d", w.Code)
	}
}

// Data that the handler has not changed is carried over as stored, and the handler's changes
// apply on top of what others have written meanwhile.
func TestRenewKeepsWrites(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	for change, want := range map[string]string{
		"":     `{"items": ["ink"], "unknown": 2}`,
		"milk": `{"items": ["ink", "milk"]}`,
	} {
		k := k.asGuest(t)
		var renewed uuid.UUID
		k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
			session := k.manager.From(r.Context())
			if change != "" {
				update(r.Context(), t, session, func(c *cart) { c.Items = append(c.Items, change) })
			}
			if _, err := k.store.Update(r.Context(), k.session.ID, k.session.Checksum, []byte(`{"items":["ink"],"unknown":2}`)); err != nil {
				t.Error(err)
			}
			if _, err := session.Renew(r.Context(), sessionstore.CreateParams{Data: []byte(`{"items":["not used"]}`)}); err != nil {
				t.Errorf("changed by %q: %v", change, err)
			}
			renewed = session.Info.ID
			if items := session.Read().Items; items[0] != "ink" {
				t.Errorf("items %v", items)
			}
		})
		if k.session.ID = renewed; k.stored(t) != want {
			t.Errorf("stored %s, want %s", k.stored(t), want)
		}
	}
}

// If a change conflicts with what others have written, nothing has changed, and the change
// is still not stored in place of theirs.
func TestRenewConflict(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{}).asGuest(t)
	w := k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		err := session.Update(r.Context(), func(c *cart) error {
			if c.Items[0] != "tea" {
				return errors.New("no tea")
			}
			c.Items[0] = "coffee"
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		k.behindItsBack(r.Context(), t, `["ink"]`)
		if _, err := session.Renew(r.Context(), sessionstore.CreateParams{}); !errors.Is(err, sessionstore.ErrConflict) || session.Info.ID != k.session.ID {
			t.Errorf("%v, %+v", err, session.Info)
		}
	})
	if w.Code != http.StatusConflict || k.stored(t) != `{"items": ["ink"]}` {
		t.Errorf("%d, stored %s", w.Code, k.stored(t))
	}
}

// Cookies: the answer has the new pair, even if it is an error, and never that of the refresh on
// the way.
func TestRenewInCookies(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{}, unchangedConfig)
	for _, status := range []int{http.StatusOK, http.StatusInternalServerError} {
		_, guest, err := s.store.Create(t.Context(), sessionstore.CreateParams{Data: []byte(`{"items":["tea"]}`)})
		if err != nil {
			t.Fatal(err)
		}
		ann := browser{refreshCookie: string(guest.RefreshToken)} // so that it is refreshed in the same request
		before := maps.Clone(ann)
		var pair sessionstore.TokenPair
		w := ann.send(t, s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			session := s.From(r.Context())
			update(r.Context(), t, session, func(c *cart) { c.Items = append(c.Items, "milk") })
			var err error
			if pair, err = session.Renew(r.Context(), sessionstore.CreateParams{Subject: "bob"}); err != nil {
				t.Error(err)
			}
			w.WriteHeader(status)
			if _, err := session.Renew(r.Context(), sessionstore.CreateParams{}); status == http.StatusOK && !errors.Is(err, sessionhttp.ErrBegun) {
				t.Errorf("after the response has begun: %v", err)
			}
		})), http.MethodPost)
		ann.keep(w)
		if len(w.Header()["Set-Cookie"]) != 2 || ann[accessCookie] != string(pair.AccessToken) || ann[refreshCookie] != string(pair.RefreshToken) {
			t.Errorf("%d: %d cookies, not those of the new pair", status, len(w.Header()["Set-Cookie"]))
		}
		if got := ann.open(t, s, http.MethodGet); got != "200 tea,milk" {
			t.Errorf("the new session: %s", got)
		}
		if w := before.send(t, s, http.MethodGet); w.Code != http.StatusUnauthorized || w.Header()["Set-Cookie"] != nil {
			t.Errorf("the old one: %d, %v", w.Code, w.Header())
		}
	}
}

// A session that has ended is not renewed.
func TestRenewEnded(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	for what, end := range map[string]func(context.Context, *sessionhttp.Session[cart]) error{
		"by the handler": func(ctx context.Context, s *sessionhttp.Session[cart]) error { return s.End(ctx) },
		"by another": func(ctx context.Context, s *sessionhttp.Session[cart]) error {
			_, err := k.store.InvalidateSubject(ctx, s.Info.Subject, uuid.Nil)
			return err
		},
	} {
		k := k.asGuest(t)
		session, pair, err := k.store.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		k.session, k.access = session, string(pair.AccessToken)
		k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
			session := k.manager.From(r.Context())
			if err := end(r.Context(), session); err != nil {
				t.Error(err)
			}
			if _, err := session.Renew(r.Context(), sessionstore.CreateParams{}); !sessionhttp.IsInvalidToken(err) {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
}

// failing is a store whose first replacement meets an outage.
type failing struct {
	*sessionstore.Store
	failed atomic.Bool
}

func (f *failing) Replace(ctx context.Context, replaced sessionstore.Replaced, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error) {
	if f.failed.CompareAndSwap(false, true) {
		return sessionstore.Session{}, sessionstore.TokenPair{}, sessionstore.ErrUnavailable
	}
	return f.Store.Replace(ctx, replaced, params)
}

// After an outage the handler still has the session and its changes.
func TestRenewUnavailable(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{}).asGuest(t)
	k.manager = sessionhttp.New[cart](&failing{Store: k.store}, sessionhttp.Config{})
	k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		update(r.Context(), t, session, func(c *cart) { c.Items = append(c.Items, "milk") })
		if _, err := session.Renew(r.Context(), sessionstore.CreateParams{Subject: "bob"}); !errors.Is(err, sessionstore.ErrUnavailable) || session.Info.Subject != "" {
			t.Errorf("%v, %+v", err, session.Info)
		}
		if _, err := session.Renew(r.Context(), sessionstore.CreateParams{Subject: "bob"}); err != nil || session.Info.Subject != "bob" {
			t.Errorf("again: %v, %+v", err, session.Info)
		}
		if items := session.Read().Items; len(items) != 2 {
			t.Errorf("items %v", items)
		}
	})
}

// A client that has proven to have its key stays bound to it.
func TestRenewBound(t *testing.T) {
	t.Parallel()
	const base = "https://api.example.com"
	proofs, err := dpop.New(dpop.Config{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	k := setup(t, sessionhttp.Config{Proofs: proofs})
	device := testkeys.NewDevice(t)
	_, bound, err := k.store.Create(t.Context(), sessionstore.CreateParams{KeyThumbprint: device.Thumbprint(t)})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://inside/login", http.NoBody)
	r.Header.Set("Authorization", "DPoP "+string(bound.AccessToken))
	r.Header.Set("DPoP", device.Proof(t, "POST", base+"/login", string(bound.AccessToken), ""))
	var pair sessionstore.TokenPair
	k.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if pair, err = k.manager.From(r.Context()).Renew(r.Context(), sessionstore.CreateParams{Subject: "bob"}); err != nil {
			t.Error(err)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
	if pair.KeyThumbprint != device.Thumbprint(t) {
		t.Errorf("bound to %q", pair.KeyThumbprint)
	}
}

// sent counts what is sent to the database: statements, and batches of them.
type sent struct{ trips atomic.Int64 }

func (s *sent) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	s.trips.Add(1)
	return ctx
}

func (*sent) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *sent) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	s.trips.Add(1)
	return ctx
}

func (*sent) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (*sent) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// The request has read the session, so nothing is read again: not sealed data, and not the
// subject whose sessions are limited. Only a function of the program's that computes lifetimes
// or claims gets the present label.
func TestRenewRoundTrips(t *testing.T) {
	t.Parallel()
	sealer := newSealer(t)
	for name, test := range map[string]struct {
		configure func(*sessionstore.Config)
		want      int64
	}{
		"sealed data":      {func(c *sessionstore.Config) { c.Sealer = sealer }, 1},
		"limited sessions": {func(c *sessionstore.Config) { c.SessionsPerSubject = 2 }, 1},
		"computed lifetimes": {func(c *sessionstore.Config) {
			c.LifetimesFor = func(sessionstore.CreateParams) (l sessionstore.Lifetimes) { return l }
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t, sessionhttp.Config{})
			cfg, database := config(), k.pool.Config()
			test.configure(&cfg)
			var counted sent
			database.ConnConfig.Tracer = &counted
			pool, err := pgxpool.NewWithConfig(t.Context(), database)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(pool.Close)
			if k.store, err = sessionstore.New(pool, k.ring, cfg); err != nil {
				t.Fatal(err)
			}
			k.manager = sessionhttp.New[cart](k.store, sessionhttp.Config{})
			_, pair, err := k.store.Create(t.Context(), sessionstore.CreateParams{Subject: "ann", Data: []byte(`{"items":["tea"],"unknown":1}`)})
			if err != nil {
				t.Fatal(err)
			}
			k.access = string(pair.AccessToken)
			for _, change := range []bool{false, true} {
				w := k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
					session := k.manager.From(r.Context())
					if change {
						update(r.Context(), t, session, func(c *cart) { c.Items = append(c.Items, "milk") })
					}
					before := counted.trips.Load()
					pair, err := session.Renew(r.Context(), sessionstore.CreateParams{})
					if err != nil {
						t.Error(err)
						return
					}
					if got := counted.trips.Load() - before; got != test.want {
						t.Errorf("changed %v: it took %d round trips, want %d", change, got, test.want)
					}
					k.session, k.access = session.Info, string(pair.AccessToken)
				})
				want := `{"items":["tea"],"unknown":1}`
				if change {
					want = `{"items":["tea","milk"]}` // of what the type has no place for, a change keeps nothing
				}
				stored := strings.ReplaceAll(k.stored(t), " ", "")
				if w.Code != http.StatusOK || stored != want || k.session.Subject != "ann" {
					t.Errorf("changed %v: %d, %s is stored, of %q", change, w.Code, stored, k.session.Subject)
				}
			}
		})
	}
}

func newSealer(t *testing.T) *dataseal.Sealer {
	t.Helper()
	keys, err := dataseal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := dataseal.NewSealer(keys)
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}
