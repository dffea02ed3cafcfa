package sessionhttp_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Without the middleware: log in, change, renew, log out; each has its cookies at once.
func TestOpen(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	ann := browser{}
	bare := func(serve func(w http.ResponseWriter, r *http.Request) error) string {
		t.Helper()
		return ann.open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := serve(w, r); err != nil {
				sessionhttp.Error(w, r, err)
			}
		}), http.MethodPost)
	}
	login := func(w http.ResponseWriter, r *http.Request) error {
		_, _, err := s.Begin(w, r, cart{Items: []string{"tea"}}, sessionstore.CreateParams{Subject: "ann"})
		return err
	}
	change := func(renew bool) func(w http.ResponseWriter, r *http.Request) error {
		return func(w http.ResponseWriter, r *http.Request) error {
			session, err := s.Open(w, r)
			if err != nil {
				return err
			}
			if session == nil {
				return sessionhttp.ErrNoToken
			}
			if err := session.Update(r.Context(), put("milk")); err != nil {
				return err
			}
			if renew {
				_, err = session.Renew(r.Context(), sessionstore.CreateParams{})
			}
			return err
		}
	}
	if got := bare(change(false)); got != "401 Unauthorized\n" {
		t.Errorf("a visitor: %s", got)
	}
	bare(login)
	planted := browser{refreshCookie: ann[refreshCookie]}
	bare(login)
	if got := planted.open(t, s, http.MethodGet); got != "200 a visitor" {
		t.Errorf("the session before: %s", got)
	}
	delete(ann, accessCookie)
	if got := bare(change(false)); got != "200 " || ann[accessCookie] == "" {
		t.Errorf("%s, %d cookies", got, len(ann))
	}
	before := browser{refreshCookie: ann[refreshCookie]}
	if got := bare(change(true)); got != "200 " || ann[refreshCookie] == before[refreshCookie] {
		t.Errorf("renewing: %s", got)
	}
	if got := before.open(t, s, http.MethodGet); got != "200 a visitor" {
		t.Errorf("the session before: %s", got)
	}
	if got := ann.open(t, s, http.MethodGet); got != "200 tea,milk,milk" {
		t.Error(got)
	}
	before = browser{refreshCookie: ann[refreshCookie]}
	if bare(s.End); len(ann) != 0 {
		t.Errorf("%d cookies after the end", len(ann))
	}
	if got := before.open(t, s, http.MethodGet); got != "200 a visitor" {
		t.Errorf("after the end: %s", got)
	}
}

// Work without a request: a session is made, changed alongside others, extended, renewed and
// ended.
func TestLoad(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	made, _, err := k.manager.Create(t.Context(), cart{Items: []string{"ink"}}, sessionstore.CreateParams{Subject: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	session, err := k.manager.Load(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	k.session = made
	k.behindItsBack(t.Context(), t, `["pen"]`)
	update(t.Context(), t, session, func(c *cart) { c.Items = append(c.Items, "paper") })
	if diff := cmp.Diff([]string{"pen", "paper"}, k.items(t.Context(), t)); diff != "" || session.Modified() {
		t.Error(diff)
	}
	expires := session.Info.ExpiresAt
	if err := session.Extend(t.Context(), sessionstore.Lifetimes{RefreshToken: 90 * 24 * time.Hour}); err != nil || session.Info.ExpiresAt.Sub(expires) < 59*24*time.Hour {
		t.Errorf("%v, until %v instead of %v", err, session.Info.ExpiresAt, expires)
	}
	pair, err := session.Renew(t.Context(), sessionstore.CreateParams{})
	if err != nil || pair.AccessToken == "" || session.AccessToken() != pair.AccessToken || session.Info.ID == made.ID || session.Info.Subject != "bob" {
		t.Fatalf("%v, %+v", err, session.Info)
	}
	if k.session = session.Info; !slices.Equal(k.items(t.Context(), t), []string{"pen", "paper"}) {
		t.Errorf("%v", k.items(t.Context(), t))
	}
	if err := session.End(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := k.manager.Load(t.Context(), session.Info.ID); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
	if err := session.Extend(t.Context(), sessionstore.Lifetimes{RefreshToken: time.Hour}); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("extended after the end: %v", err)
	}
}

// All sessions, over several pages: of all subjects and of one, without those that have ended.
func TestAll(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{}) // ann's
	const many = 60
	for range many {
		if _, _, err := k.manager.Create(t.Context(), cart{Items: []string{"ink"}}, sessionstore.CreateParams{Subject: "bob"}); err != nil {
			t.Fatal(err)
		}
	}
	count := func(subject string) (sessions, undecodable int) {
		for s, err := range k.manager.All(t.Context(), subject) {
			_, is := errors.AsType[*sessionhttp.DataError](err)
			switch {
			case is:
				undecodable++
			case err != nil:
				t.Fatal(err)
			case len(s.Read().Items) == 1:
				sessions++
			}
		}
		return sessions, undecodable
	}
	if n, _ := count(""); n != many+1 {
		t.Errorf("%d sessions", n)
	}
	if n, _ := count("ann"); n != 1 {
		t.Errorf("%d sessions of ann's", n)
	}
	if _, _, err := k.store.Create(t.Context(), sessionstore.CreateParams{Subject: "ann", Data: []byte(`{"items":1}`)}); err != nil {
		t.Fatal(err)
	}
	if n, bad := count("ann"); n != 1 || bad != 1 {
		t.Errorf("%d sessions and %d that do not decode", n, bad)
	}
	for s, err := range k.manager.All(t.Context(), "bob") {
		if err != nil || s.End(t.Context()) != nil {
			t.Fatalf("ending all: %v", err)
		}
	}
	if n, _ := count("bob"); n != 0 {
		t.Errorf("%d are left", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	errs := 0
	for _, err := range k.manager.All(ctx, "") {
		if errs++; err == nil {
			t.Error("a cancelled context has sessions")
		}
	}
	if errs != 1 {
		t.Errorf("%d errors", errs)
	}
}

// A message is shown once, unless the page failed.
func TestPop(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	var modified bool
	show := func(status int) (items []string) {
		k.serve(t, func(w http.ResponseWriter, r *http.Request) {
			session := k.manager.From(r.Context())
			var err error
			if items, err = sessionhttp.Pop(r.Context(), session, func(c *cart) *[]string { return &c.Items }); err != nil {
				t.Error(err)
			}
			modified = session.Modified()
			w.WriteHeader(status)
			if session.Modified() {
				t.Error("modified after the response has begun")
			}
		})
		return items
	}
	for i, want := range []struct {
		status   int
		items    []string
		modified bool
	}{{500, []string{"tea"}, true}, {200, []string{"tea"}, true}, {200, nil, false}} {
		if got := show(want.status); !cmp.Equal(got, want.items) || modified != want.modified {
			t.Errorf("%d: %v, modified: %t", i, got, modified)
		}
	}
}

// No client waits for the pair: the session that the client has continues.
func TestRenewForNobody(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{}).asGuest(t)
	k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		if _, err := k.manager.From(ctx).Renew(ctx, sessionstore.CreateParams{Subject: "bob"}); !errors.Is(err, sessionhttp.ErrDiscarded) || !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
	if w := k.serve(t, func(http.ResponseWriter, *http.Request) {}); w.Code != http.StatusOK {
		t.Errorf("after that: %d", w.Code)
	}
}

// A visitor gets a session with the first change, and not before.
func TestAnonymous(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true, Anonymous: func(*http.Request) sessionstore.CreateParams {
		return sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{RefreshToken: time.Hour}}
	}}, unchangedConfig)
	handler := func(serve func(w http.ResponseWriter, r *http.Request, session *sessionhttp.Session[cart])) http.Handler {
		return s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r, s.From(r.Context())) }))
	}
	ann := browser{}
	if got := ann.open(t, s, http.MethodGet); got != "200 " || len(ann) != 0 {
		t.Errorf("a look: %s, %d cookies", got, len(ann))
	}
	ann.open(t, handler(func(w http.ResponseWriter, r *http.Request, session *sessionhttp.Session[cart]) {
		update(r.Context(), t, session, func(c *cart) { c.Items = append(c.Items, "lost") })
		w.WriteHeader(http.StatusInternalServerError)
	}), http.MethodPut)
	if len(ann) != 0 {
		t.Error("an error of the server's began a session")
	}
	ann.open(t, handler(func(w http.ResponseWriter, r *http.Request, session *sessionhttp.Session[cart]) {
		w.WriteHeader(http.StatusOK)
		if err := session.Update(r.Context(), put("late")); !errors.Is(err, sessionhttp.ErrBegun) || len(session.Read().Items) != 0 {
			t.Errorf("after the response has begun: %v", err)
		}
	}), http.MethodPut)
	if got := ann.open(t, s, http.MethodPut); got != "200 milk" || len(ann) != 2 {
		t.Errorf("the first change: %s, %d cookies", got, len(ann))
	}
	guest := browser{refreshCookie: ann[refreshCookie]}
	if w := guest.send(t, s, http.MethodGet); w.Body.String() != "milk" || w.Header().Get("Set-Cookie") == "" {
		t.Errorf("%q", w.Body)
	}
	ann.open(t, handler(func(_ http.ResponseWriter, r *http.Request, session *sessionhttp.Session[cart]) {
		if session.Visiting() || session.Info.Subject != "" {
			t.Errorf("%+v", session.Info)
		}
		if _, err := session.Renew(r.Context(), sessionstore.CreateParams{Subject: "ann"}); err != nil {
			t.Error(err)
		}
	}), http.MethodPost)
	if got := ann.open(t, s, http.MethodPut); got != "200 milk,milk" {
		t.Error(got)
	}
	if got := guest.open(t, s, http.MethodGet); got != "200 " {
		t.Errorf("the guest's cookies: %s", got)
	}
	for name, begin := range map[string]func(w http.ResponseWriter, r *http.Request, session *sessionhttp.Session[cart]) error{
		"renewed": func(_ http.ResponseWriter, r *http.Request, session *sessionhttp.Session[cart]) error {
			update(r.Context(), t, session, func(c *cart) { c.Items = []string{"tea"} })
			_, err := session.Renew(r.Context(), sessionstore.CreateParams{Subject: "bob"})
			return err
		},
		"saved": func(_ http.ResponseWriter, r *http.Request, session *sessionhttp.Session[cart]) error {
			update(r.Context(), t, session, func(c *cart) { c.Items = []string{"tea"} })
			err := session.Save(r.Context())
			if session.Visiting() || session.AccessToken() == "" {
				t.Error("no session was begun")
			}
			return err
		},
		"begun": func(w http.ResponseWriter, r *http.Request, _ *sessionhttp.Session[cart]) error {
			_, _, err := s.Begin(w, r, cart{Items: []string{"tea"}}, sessionstore.CreateParams{Subject: "bob"})
			return err
		},
	} {
		bob := browser{}
		bob.open(t, handler(func(w http.ResponseWriter, r *http.Request, session *sessionhttp.Session[cart]) {
			if err := begin(w, r, session); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}), http.MethodPost)
		if got := bob.open(t, s, http.MethodGet); got != "200 tea" || len(bob) != 2 {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := (browser{}).open(t, s, http.MethodDelete); got != "200 " {
		t.Errorf("a visitor's end: %s", got)
	}
	required, err := s.RequireAuthentication(tokens.Requirement{MaxAge: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if w := (browser{}).send(t, s.Handler(required(s)), http.MethodGet); w.Code != http.StatusUnauthorized || strings.Contains(w.Header().Get("WWW-Authenticate"), "error") {
		t.Errorf("a visitor who has to authenticate: %d %v", w.Code, w.Header())
	}
	// Outside the middleware too, and not for clients whose tokens no answer hands over.
	bob := browser{}
	bob.open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, err := s.Open(w, r)
		if err != nil {
			t.Fatal(err)
		}
		update(r.Context(), t, session, func(c *cart) { c.Items = []string{"tea"} })
	}), http.MethodPost)
	if got := bob.open(t, s, http.MethodGet); got != "200 tea" {
		t.Errorf("opened: %s", got)
	}
	bearer := sessionhttp.New[cart](s.store, sessionhttp.Config{Optional: true, Anonymous: func(*http.Request) sessionstore.CreateParams { return sessionstore.CreateParams{} }})
	bearer.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if bearer.From(r.Context()) != nil {
			t.Error("a session that cannot exist")
		}
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
}
