package sessionhttp_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// order is data that a cart's does not decode into.
type order struct {
	Items int `json:"items,omitempty"`
}

// desk is a manager on a database that others use as well: PUT changes the data, DELETE logs out. The
// answer shows whose session it is.
type desk[T any] struct {
	*sessionhttp.Manager[T]
	change func(*T) error
}

func (d desk[T]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.answer(w, r, d.From(r.Context())) })).ServeHTTP(w, r)
}

func (d desk[T]) opened(w http.ResponseWriter, r *http.Request) {
	session, err := d.Open(w, r)
	if err != nil {
		sessionhttp.Error(w, r, err)
		return
	}
	d.answer(w, r, session)
}

func (d desk[T]) answer(w http.ResponseWriter, r *http.Request, session *sessionhttp.Session[T]) {
	var err error
	switch r.Method {
	case http.MethodPut:
		if session != nil {
			err = session.Update(r.Context(), d.change)
		}
	case http.MethodDelete:
		err = d.End(w, r)
	}
	switch {
	case err != nil:
		sessionhttp.Error(w, r, err)
	case session == nil || session.Visiting() || session.Info.Subject == "":
		_, _ = fmt.Fprint(w, "a visitor")
	default:
		_, _ = fmt.Fprint(w, session.Info.Subject, session.Read())
	}
}

// strangers checks that the tokens are worthless in the cookies of this manager, whatever is done with
// them.
func strangers[T any](t *testing.T, store *sessionstore.Store, name string, change func(*T) error, access, refresh string) {
	t.Helper()
	const cookie = "__Host-desk"
	for _, optional := range []bool{true, false} {
		for _, anonymous := range []func(*http.Request) sessionstore.CreateParams{
			nil, func(*http.Request) sessionstore.CreateParams { return sessionstore.CreateParams{} },
		} {
			var log logs
			m := sessionhttp.New[T](store, sessionhttp.Config{
				Transport: sessionhttp.Cookies{Name: "desk"}, Optional: optional, Anonymous: anonymous, Logger: log.logger(),
			})
			d := desk[T]{m, change}
			want := "401 Unauthorized\n"
			if optional {
				want = "200 a visitor"
			}
			for i, cookies := range []browser{
				{cookie: access}, {cookie + "-refresh": refresh}, {cookie: access, cookie + "-refresh": refresh}, {cookie: "a.b.c", cookie + "-refresh": refresh},
			} {
				for method, handler := range map[string]http.Handler{"through": d, "beside": http.HandlerFunc(d.opened)} {
					for _, verb := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
						w := cookies.send(t, handler, verb)
						if got := fmt.Sprintf("%d %s", w.Code, w.Body); got != want {
							t.Errorf("%s, %d, %s, %s: %q, want %q", name, i, method, verb, got, want)
						}
					}
				}
				api := m.Handler(m.Proxy(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}, nil))
				if w := cookies.send(t, api, http.MethodGet); w.Code != http.StatusUnauthorized {
					t.Errorf("%s, %d, an API: %d", name, i, w.Code)
				}
				ann := maps.Clone(cookies)
				ann.open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, _, err := m.Begin(w, r, *new(T), sessionstore.CreateParams{Subject: "bob"}); err != nil {
						t.Errorf("%s, %d, a log-in: %v", name, i, err)
					}
				}), http.MethodPost)
				if got := ann.open(t, d, http.MethodGet); !strings.HasPrefix(got, "200 bob") {
					t.Errorf("%s, %d: after a log-in %s", name, i, got)
				}
			}
		}
	}
}

// Managers whose cookies have different names have separate sessions, without further configuration: on one
// store or in another process, of one type or another, in any way a session is used.
func TestMovedCookies(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	shop := site{k.store, sessionhttp.New[cart](k.store, sessionhttp.Config{Transport: sessionhttp.Cookies{Name: "shop"}})}
	anothers := k.with(t, unchangedConfig)
	buy, ask := put("milk"), func(o *order) error { o.Items++; return nil }
	for renewed := range 2 {
		ann := browser{}
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
		session, _, err := shop.Begin(w, r, cart{Items: []string{"tea"}}, sessionstore.CreateParams{Subject: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		ann.keep(w)
		if renewed == 1 {
			ann.open(t, shop.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				s := shop.From(r.Context())
				if _, err := s.Renew(r.Context(), sessionstore.CreateParams{}); err != nil {
					t.Error(err)
				}
				session = s.Info
			})), http.MethodPost)
		}
		access, refresh := ann["__Host-shop"], ann["__Host-shop-refresh"]
		strangers(t, k.store, "same store, same type", buy, access, refresh)
		strangers(t, anothers, "another's store, same type", buy, access, refresh)
		strangers(t, k.store, "same store, another type", ask, access, refresh)
		strangers(t, anothers, "another's store, another type", ask, access, refresh)
		if got := ann.open(t, shop, http.MethodGet); got != "200 tea" {
			t.Errorf("the owner gets %s", got)
		}
		other := sessionhttp.New[cart](anothers, sessionhttp.Config{Transport: sessionhttp.Cookies{Name: "desk"}})
		if _, err := other.Load(t.Context(), session.ID); !errors.Is(err, sessionstore.ErrNotFound) {
			t.Errorf("the other loads it: %v", err)
		}
		if _, err := shop.Load(t.Context(), session.ID); err != nil {
			t.Errorf("its own: %v", err)
		}
		// An API has the access token from a gateway, or from Proxy: the newest, for the owner's request may have refreshed it.
		k.access = ann["__Host-shop"]
		if w := k.serve(t, func(http.ResponseWriter, *http.Request) {}); w.Code != http.StatusOK {
			t.Errorf("as a bearer token: %d", w.Code)
		}
	}
}

// A session that no manager of cookies has begun continues in those that it is in. In the cookies of a manager of another type
// it is ignored, and left unchanged, because it is not known yet whose mistake that is.
func TestMovedCookiesOfNobodys(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	ann := browser{"__Host-shop": k.access, "__Host-shop-refresh": k.refresh}
	ask := func(o *order) error { o.Items++; return nil }
	shop := site{k.store, sessionhttp.New[cart](k.store, sessionhttp.Config{Transport: sessionhttp.Cookies{Name: "shop"}})}
	var log logs
	wrong := desk[order]{sessionhttp.New[order](k.store, sessionhttp.Config{
		Transport: sessionhttp.Cookies{Name: "shop"}, Optional: true, Logger: log.logger(),
	}), ask}
	for range 2 { // a deployment of the wrong release, and it is rolled back
		if got := ann.open(t, shop, http.MethodGet); got != "200 tea" {
			t.Errorf("the owner gets %s", got)
		}
		if got := ann.open(t, wrong, http.MethodPut); got != "200 a visitor" {
			t.Errorf("of another type: %s", got)
		}
		delete(ann, "__Host-shop") // refreshed on the way
	}
	if got := log.String(); !strings.Contains(got, "does not decode") || !strings.Contains(got, k.session.ID.String()) {
		t.Errorf("the log is %q", got)
	}
}
