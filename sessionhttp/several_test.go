package sessionhttp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

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
