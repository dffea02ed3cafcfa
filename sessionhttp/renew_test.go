package sessionhttp_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"

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

// A guest signs in: who knows the guest's tokens has nothing of the user's session, and
// the cart is there.
func TestGuestSignsIn(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{}).asGuest(t)
	guest := k.session.ID
	signIn := func(w http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		session.Data.Items = append(session.Data.Items, "milk")
		pair, err := session.Renew(r.Context(), sessionstore.CreateParams{Subject: "bob"})
		if err != nil {
			t.Error(err)
			return
		}
		if session.Info.Subject != "bob" || session.Info.ID == guest {
			t.Errorf("session %+v", session.Info)
		}
		session.Data.Items = append(session.Data.Items, "jam") // of the new session
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
		if items := session.Data.Items; len(items) != 3 || items[2] != "jam" || session.Claims.Subject != "bob" {
			t.Errorf("%v of %s", items, session.Claims.Subject)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if w.Code != http.StatusNoContent {
		t.Errorf("with the user's token: %d", w.Code)
	}
}

// Data that the handler has not changed goes along as it is stored, with what others
// have written meanwhile.
func TestRenewKeepsWrites(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{}).asGuest(t)
	for changed, want := range map[bool]error{false: nil, true: sessionstore.ErrConflict} {
		k := k.asGuest(t)
		k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
			session := k.manager.From(r.Context())
			if _, err := k.store.Update(r.Context(), k.session.ID, k.session.Checksum, []byte(`{"items":["ink"],"unknown":2}`)); err != nil {
				t.Error(err)
			}
			if changed {
				session.Data.Items = nil
			}
			if _, err := session.Renew(r.Context(), sessionstore.CreateParams{Data: []byte(`{"items":["not used"]}`)}); !errors.Is(err, want) {
				t.Errorf("changed %v: %v", changed, err)
			}
			if want != nil {
				if session.Info.ID != k.session.ID {
					t.Error("it is another session")
				}
				session.Data.Items = []string{"tea"} // as it was
				return
			}
			if session.Data.Items[0] != "ink" || string(session.Info.Data) != `{"items": ["ink"], "unknown": 2}` {
				t.Errorf("data %s", session.Info.Data)
			}
		})
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

// A handler that answers with an error has not lost the session.
func TestRenewUnavailable(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{}).asGuest(t)
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+k.access)
	k.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		gone, cancel := context.WithCancel(r.Context())
		cancel()
		session := k.manager.From(r.Context())
		if _, err := session.Renew(gone, sessionstore.CreateParams{Subject: "bob"}); !errors.Is(err, sessionstore.ErrUnavailable) || session.Info.Subject != "" {
			t.Errorf("%v, %+v", err, session.Info)
		}
		if _, err := session.Renew(r.Context(), sessionstore.CreateParams{Subject: "bob"}); err != nil || session.Info.Subject != "bob" {
			t.Errorf("again: %v, %+v", err, session.Info)
		}
	})).ServeHTTP(w, r)
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
