package sessionhttp_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/memstore"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// A session that is extended in a request, including one that a visitor's change has just begun: its cookies last
// as long from the next refresh on.
func TestExtendInARequest(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true, Anonymous: func(*http.Request) sessionstore.CreateParams { return sessionstore.CreateParams{} }}, unchangedConfig)
	remember := func(do func(*http.Request, *sessionhttp.Session[cart]) error, want error) http.Handler {
		return s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			session := s.From(r.Context())
			if err := do(r, session); err != nil {
				t.Error(err)
			}
			if err := session.Extend(r.Context(), sessionstore.Lifetimes{RefreshToken: 90 * 24 * time.Hour}); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}))
	}
	ann := browser{}
	ann.open(t, remember(func(*http.Request, *sessionhttp.Session[cart]) error { return nil }, sessionstore.ErrNotFound), http.MethodPost)
	if len(ann) != 0 {
		t.Errorf("a visitor who changes nothing has %d cookies", len(ann))
	}
	ann.open(t, remember(func(r *http.Request, session *sessionhttp.Session[cart]) error {
		if err := session.Update(r.Context(), put("tea")); err != nil {
			return err
		}
		return session.Save(r.Context())
	}, nil), http.MethodPost)
	delete(ann, accessCookie)
	w := ann.send(t, s, http.MethodGet)
	if got := fmt.Sprint(w.Header()["Set-Cookie"]); w.Body.String() != "tea" || !strings.Contains(got, "Max-Age=7776000") {
		t.Errorf("%q, %s", w.Body, got)
	}
	ann.keep(w)
	if got := ann.open(t, s, http.MethodGet); got != "200 tea" {
		t.Error(got)
	}
}

// Of several requests that take the same value at the same time, without the middleware, one
// gets it.
func TestPopAtOnce(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	const many = 6
	got := make([][]string, many)
	var group sync.WaitGroup
	for i := range many {
		session, err := k.manager.Load(t.Context(), k.session.ID)
		if err != nil {
			t.Fatal(err)
		}
		group.Go(func() {
			var err error
			if got[i], err = sessionhttp.Pop(t.Context(), session, func(c *cart) *[]string { return &c.Items }); err != nil || session.Modified() {
				t.Errorf("%v, modified: %t", err, session.Modified())
			}
		})
	}
	group.Wait()
	if all := fmt.Sprint(got); strings.Count(all, "tea") != 1 {
		t.Error(all)
	}
}

// Modified is true between a change and when it is stored, or given up.
func TestModified(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		same := func(when string, want bool) {
			t.Helper()
			if got := session.Modified(); got != want {
				t.Errorf("%s: %t", when, got)
			}
		}
		same("as loaded", false)
		update(r.Context(), t, session, func(*cart) {})
		same("a change of nothing", false)
		if err := session.Update(r.Context(), func(c *cart) error { c.Items = nil; return errors.ErrUnsupported }); !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
		same("a change that failed", false)
		update(r.Context(), t, session, func(c *cart) { c.Items = append(c.Items, "milk") })
		same("changed", true)
		if err := session.Save(r.Context()); err != nil {
			t.Error(err)
		}
		same("saved", false)
		update(r.Context(), t, session, func(c *cart) { c.Items = nil })
		same("changed again", true)
		for range 2 {
			if err := session.End(r.Context()); err != nil {
				t.Error(err)
			}
		}
		same("ended", false)
		if err := session.Update(r.Context(), put("late")); !errors.Is(err, sessionstore.ErrEnded) {
			t.Error(err)
		}
		if err := session.Save(r.Context()); err != nil || len(session.Read().Items) != 2 {
			t.Errorf("%v, %v", err, session.Read())
		}
	})
}

// bare is a store with nothing but what the middleware needs.
type bare struct{ sessionhttp.Store }

// An operation that a store does not support returns an error that says so.
func TestStoreThatCannot(t *testing.T) {
	t.Parallel()
	m := sessionhttp.New[cart](bare{memstore.MustNew(sessionstore.Config{})}, sessionhttp.Config{})
	info, _, err := m.Create(t.Context(), cart{}, sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	session, err := m.Load(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Extend(t.Context(), sessionstore.Lifetimes{RefreshToken: time.Hour}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("extending: %v", err)
	}
	n := 0
	for session, err := range m.All(t.Context(), "") {
		if n++; session != nil || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("finding: %v", err)
		}
	}
	if n != 1 {
		t.Errorf("%d answers", n)
	}
}

// All sessions of a store in memory, by their manager; iteration can stop early.
func TestAllOfSeveralManagers(t *testing.T) {
	t.Parallel()
	store := memstore.MustNew(sessionstore.Config{})
	shop := sessionhttp.New[cart](store, sessionhttp.Config{Transport: sessionhttp.Cookies{Name: "shop"}})
	desk := sessionhttp.New[cart](store, sessionhttp.Config{Transport: sessionhttp.Cookies{Name: "desk"}})
	api := sessionhttp.New[cart](store, sessionhttp.Config{})
	for range 3 {
		for name, m := range map[string]*sessionhttp.Manager[cart]{"shop": shop, "desk": desk, "api": api} {
			w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
			if _, _, err := m.Begin(w, r, cart{Items: []string{name}}, sessionstore.CreateParams{Subject: "ann"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, test := range map[string]struct {
		m          *sessionhttp.Manager[cart]
		shop, desk int
	}{"shop": {shop, 3, 0}, "desk": {desk, 0, 3}, "api": {api, 3, 3}} {
		count := map[string]int{}
		for session, err := range test.m.All(t.Context(), "ann") {
			if err != nil {
				t.Fatal(err)
			}
			count[session.Read().Items[0]]++
		}
		if count["shop"] != test.shop || count["desk"] != test.desk || count["api"] != 3 {
			t.Errorf("%s has %v", name, count)
		}
	}
	n := 0
	for _, err := range api.All(t.Context(), "ann") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d before the break", n)
	}
}
