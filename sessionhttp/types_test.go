package sessionhttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// contrary encodes and decodes as it likes.
type contrary struct{ Mood string }

func (c contrary) MarshalJSON() ([]byte, error) {
	switch c.Mood {
	case "panics":
		panic("no JSON")
	case "fails":
		return nil, errors.New("no JSON")
	}
	return fmt.Appendf(nil, `{"Mood":%q}`, c.Mood), nil
}

func (c *contrary) UnmarshalJSON(data []byte) error {
	if strings.Contains(string(data), "one way") {
		return errors.New("not readable")
	}
	c.Mood = "good"
	return nil
}

// hasError has a member that encodes, but does not decode.
type hasError struct {
	Items []string `json:"items"`
	Last  error    `json:"last"`
}

// tryType makes changes that cannot be stored. They must be refused at once, and must not change the session.
func tryType[T any](changes ...func(*T)) func(*testing.T) {
	return func(t *testing.T) {
		t.Parallel()
		k := setup(t, sessionhttp.Config{})
		sessions := sessionhttp.New[T](k.store, sessionhttp.Config{})
		w := httptest.NewRecorder()
		sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			session := sessions.From(r.Context())
			for i, change := range changes {
				err := session.Update(r.Context(), func(value *T) error { change(value); return nil })
				if _, is := errors.AsType[*sessionhttp.DataError](err); !is {
					t.Errorf("change %d: %v", i, err)
				}
				session.Read() // does not panic
				var value T
				change(&value)
				if _, _, err := sessions.Create(r.Context(), value, sessionstore.CreateParams{}); err == nil {
					t.Errorf("change %d: a session was created with it", i)
				}
			}
		})).ServeHTTP(w, k.request(t))
		if w.Code != http.StatusOK || k.stored(t) != unchanged {
			t.Errorf("%d, %s", w.Code, k.stored(t))
		}
	}
}

// Data of any type is refused if it could not be read again.
func TestDataThatCouldNotBeReadAgain(t *testing.T) {
	t.Parallel()
	t.Run("pointer", tryType(func(p **cart) { *p = nil }))
	t.Run("map", tryType(func(m *map[string]any) { *m = nil }, func(m *map[string]any) { *m = map[string]any{"f": func() {}} }))
	t.Run("any", tryType(func(a *any) { *a = "text" }, func(a *any) { *a = []int{1} }, func(a *any) { *a = nil }))
	t.Run("interface member", tryType(func(h *hasError) { h.Last = errors.New("late") }))
	t.Run("own encoding", tryType(func(c *contrary) { c.Mood = "one way" }, func(c *contrary) { c.Mood = "fails" }))
}

func panics(ctx context.Context, f func(context.Context)) (did bool) {
	defer func() { did = recover() != nil }()
	f(ctx)
	return false
}

// A value that panics when it is encoded changes nothing, and the session continues.
func TestEncodingPanics(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	sessions := sessionhttp.New[contrary](k.store, sessionhttp.Config{})
	w := httptest.NewRecorder()
	sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		session := sessions.From(r.Context())
		set := func(ctx context.Context, mood string) error {
			return session.Update(ctx, func(c *contrary) error { c.Mood = mood; return nil })
		}
		if !panics(r.Context(), func(ctx context.Context) { _ = set(ctx, "panics") }) {
			t.Error("no panic")
		}
		if err := set(r.Context(), "better"); err != nil {
			t.Error(err)
		}
	})).ServeHTTP(w, k.request(t))
	if w.Code != http.StatusOK || k.stored(t) != `{"Mood": "better"}` {
		t.Errorf("%d, %s", w.Code, k.stored(t))
	}
}

// Maps and pointers are as good as structs.
func TestMapsAndPointers(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	maps := sessionhttp.New[map[string]any](k.store, sessionhttp.Config{})
	pointers := sessionhttp.New[*cart](k.store, sessionhttp.Config{})
	w := httptest.NewRecorder()
	maps.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		err := maps.From(r.Context()).Update(r.Context(), func(m *map[string]any) error { (*m)["colour"] = "red"; return nil })
		if err != nil {
			t.Error(err)
		}
	})).ServeHTTP(w, k.request(t))
	session, err := pointers.Load(t.Context(), k.session.ID)
	if err != nil {
		t.Fatal(err)
	}
	kept := session.Read()
	if err := session.Update(t.Context(), func(c **cart) error { (*c).Items[0] = "milk"; return nil }); err != nil {
		t.Fatal(err)
	}
	if kept.Items[0] != "tea" || session.Read().Items[0] != "milk" || k.stored(t) != `{"more": {"n": 12345678901234567890}, "items": ["milk"]}` {
		t.Errorf("%v, %s", kept, k.stored(t))
	}
}
