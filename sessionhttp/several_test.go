package sessionhttp_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Tokens copied from one manager's cookies into those of another client's are worthless there, even
// where both have one store, and one name on two hosts.
func TestCookiesMovedToAnotherClient(t *testing.T) {
	t.Parallel()
	store := setup(t, sessionhttp.Config{}).with(t, func(cfg *sessionstore.Config) {
		cfg.Tokens.ClientID, cfg.Clients = "shop", []sessionstore.OAuthClient{{ID: "staff"}}
	})
	managed := func(name string, optional bool) site {
		return site{store, sessionhttp.New[cart](store, sessionhttp.Config{
			ClientID: name, Transport: sessionhttp.Cookies{}, Optional: optional,
			Anonymous: func(*http.Request) sessionstore.CreateParams { return sessionstore.CreateParams{} },
		})}
	}
	shop, staff, strict := managed("shop", true), managed("staff", true), managed("staff", false)
	ann, eve := browser{}, browser{}
	ann.open(t, shop, http.MethodPost)
	eve.open(t, staff, http.MethodPut) // a visitor's first change
	for _, renew := range []bool{false, true} {
		moved := []browser{
			{accessCookie: ann[accessCookie]},
			{refreshCookie: ann[refreshCookie]},
			{accessCookie: ann[accessCookie], refreshCookie: ann[refreshCookie]},
			{accessCookie: "a.b.c", refreshCookie: ann[refreshCookie]},
		}
		for i, cookies := range moved {
			if got := cookies.open(t, staff, http.MethodGet); got != "200 " { // a visitor's empty cart
				t.Errorf("%d: %s", i, got)
			}
			if got := cookies.open(t, strict, http.MethodGet); got != "401 Unauthorized\n" {
				t.Errorf("%d, where a session is required: %s", i, got)
			}
			cookies.open(t, staff, http.MethodDelete) // it ends no session
			if got := ann.open(t, shop, http.MethodGet); got != "200 tea" {
				t.Errorf("%d: the owner gets %s", i, got)
			}
		}
		if !renew {
			renewed := shop.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if _, err := shop.From(r.Context()).Renew(r.Context(), sessionstore.CreateParams{}); err != nil {
					t.Error(err)
				}
			}))
			ann.open(t, renewed, http.MethodPost)
		}
	}
	if got := eve.open(t, staff, http.MethodGet); got != "200 milk" {
		t.Errorf("the staff's own: %s", got)
	}
	if got := len(eve); got != 2 {
		t.Errorf("%d cookies", got)
	}

	listed := func(m *sessionhttp.Manager[cart]) string {
		var items []string
		for s, err := range m.All(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			items = append(items, s.Read().Items...)
			if _, err := otherOf(m, shop, staff).Load(t.Context(), s.Info.ID); !errors.Is(err, sessionstore.ErrNotFound) {
				t.Errorf("the other loads it: %v", err)
			}
		}
		return fmt.Sprint(items)
	}
	if got := listed(shop.Manager) + listed(staff.Manager); got != "[tea][milk]" {
		t.Errorf("All lists %s", got)
	}
}

func otherOf(m *sessionhttp.Manager[cart], a, b site) *sessionhttp.Manager[cart] {
	if m == a.Manager {
		return b.Manager
	}
	return a.Manager
}

// Several managers in one chain have a session each, of the same type or not.
func TestSeveralManagers(t *testing.T) {
	t.Parallel()
	outer, inner := setup(t, sessionhttp.Config{}), setup(t, sessionhttp.Config{})
	type visitor struct {
		Items []string `json:"items"`
	}
	other := sessionhttp.New[visitor](outer.store, sessionhttp.Config{})
	third, pair, err := outer.store.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		user, shop, visit := outer.manager.From(r.Context()), inner.manager.From(r.Context()), other.From(r.Context())
		if user.Info.ID != outer.session.ID || shop.Info.ID != inner.session.ID || visit.Info.ID != third.ID {
			t.Fatalf("sessions %v, %v and %v", user.Info.ID, shop.Info.ID, visit.Info.ID)
		}
		update(r.Context(), t, user, func(c *cart) { c.Items = []string{"user"} })
		update(r.Context(), t, shop, func(c *cart) { c.Items = []string{"shop"} })
		if err := visit.Update(r.Context(), func(v *visitor) error { v.Items = []string{"visit"}; return nil }); err != nil {
			t.Error(err)
		}
		if err := shop.Save(r.Context()); err != nil {
			t.Error(err)
		}
		if err := shop.End(r.Context()); err != nil {
			t.Error(err)
		}
	})
	with := func(access string, next http.Handler) http.Handler { // as another transport would
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+access)
			next.ServeHTTP(w, r)
		})
	}
	w := httptest.NewRecorder()
	outer.manager.Handler(with(inner.access, inner.manager.Handler(with(string(pair.AccessToken), other.Handler(handler))))).
		ServeHTTP(w, outer.request(t))
	if w.Code != http.StatusOK {
		t.Errorf("%d", w.Code)
	}
	for want, k := range map[string]kit{"user": outer, "shop": inner} {
		if diff := cmp.Diff([]string{want}, k.items(t.Context(), t)); diff != "" {
			t.Error(diff)
		}
		if _, _, err := k.store.Get(t.Context(), k.access); errors.Is(err, sessionstore.ErrEnded) != (want == "shop") {
			t.Errorf("the session of the %s: %v", want, err)
		}
	}
	if visit, err := outer.store.Load(t.Context(), third.ID); err != nil || string(visit.Data) != `{"items": ["visit"]}` {
		t.Errorf("the third stored %s, %v", visit.Data, err)
	}
}

// Managers of one request are apart whatever their transports are, and whichever is the outer one: even where both
// refresh on the way, only the session that was ended has ended, and only its cookies are removed.
func TestSeveralTransports(t *testing.T) {
	t.Parallel()
	type visitor struct {
		Items []string `json:"items"`
	}
	k := setup(t, sessionhttp.Config{})
	cookies := func(name string) sessionhttp.Config {
		return sessionhttp.Config{Transport: sessionhttp.Cookies{Name: name}}
	}
	shop, desk := sessionhttp.New[cart](k.store, cookies("shop")), sessionhttp.New[cart](k.store, cookies("desk"))
	visit, api := sessionhttp.New[visitor](k.store, cookies("visit")), k.manager
	wrap := map[string]func(http.Handler) http.Handler{"shop": shop.Handler, "desk": desk.Handler, "visit": visit.Handler, "api": api.Handler}
	ids := func(r *http.Request) map[string]uuid.UUID {
		return map[string]uuid.UUID{
			"shop": shop.From(r.Context()).Info.ID, "desk": desk.From(r.Context()).Info.ID,
			"visit": visit.From(r.Context()).Info.ID, "api": api.From(r.Context()).Info.ID,
		}
	}
	for _, order := range [][]string{
		{"shop", "desk", "visit", "api"}, {"api", "visit", "desk", "shop"}, {"desk", "api", "shop", "visit"},
	} {
		ann, want := browser{}, map[string]uuid.UUID{}
		var access tokens.Secret
		for _, name := range order {
			session, pair, err := k.store.Create(t.Context(), sessionstore.CreateParams{Subject: name})
			if err != nil {
				t.Fatal(err)
			}
			if want[name] = session.ID; name == "api" {
				access = pair.AccessToken
			} else {
				ann["__Host-"+name+"-refresh"] = string(pair.RefreshToken) // its access token is gone
			}
		}
		var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if diff := cmp.Diff(want, ids(r)); diff != "" {
				t.Errorf("%v: %s", order, diff)
			}
			update(r.Context(), t, shop.From(r.Context()), func(c *cart) { c.Items = []string{"tea"} })
			if err := desk.End(w, r); err != nil {
				t.Error(err)
			}
		})
		for _, name := range slices.Backward(order) {
			handler = wrap[name](handler)
		}
		w := ann.send(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+string(access))
			handler.ServeHTTP(w, r)
		}), http.MethodGet)
		ann.keep(w)
		if w.Code != http.StatusOK || ann["__Host-shop"] == "" || ann["__Host-visit"] == "" || ann["__Host-desk"] != "" || ann["__Host-desk-refresh"] != "" {
			t.Errorf("%v: %d, %v", order, w.Code, ann)
		}
		for name, id := range want {
			session, err := k.store.Load(t.Context(), id)
			if err != nil || session.RevokedAt.IsZero() == (name == "desk") || (string(session.Data) == `{"items": ["tea"]}`) != (name == "shop") {
				t.Errorf("%v: the session of %s: %s, %v, %v", order, name, session.Data, session.RevokedAt, err)
			}
		}
	}
}
