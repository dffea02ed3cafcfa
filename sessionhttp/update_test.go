package sessionhttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Unchanged data costs nothing: the row is not written.
func TestUnchangedDataIsNotWritten(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	k.serve(t, func(w http.ResponseWriter, r *http.Request) {
		update(r.Context(), t, k.manager.From(r.Context()), func(c *cart) { c.Items = append([]string(nil), c.Items...) })
		_, _ = io.WriteString(w, "ok")
	})
	session, err := k.store.Load(t.Context(), k.session.ID)
	if err != nil || !session.UpdatedAt.Equal(k.session.UpdatedAt) || string(session.Data) != unchanged {
		t.Errorf("%+v, %v", session, err)
	}
}

// Changes to a reader's copy, and to data that a change has kept, affect nothing.
func TestReadIsACopy(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		for range 2 {
			session.Read().Items[0] = "poison"
		}
		var kept *cart
		update(r.Context(), t, session, func(c *cart) { kept = c; c.Items[0] = "milk" })
		kept.Items[0] = "poison"
		if got := session.Read().Items[0]; got != "milk" {
			t.Errorf("it reads %s", got)
		}
	})
	if diff := cmp.Diff([]string{"milk"}, k.items(t.Context(), t)); diff != "" {
		t.Error(diff)
	}
}

// A change that fails or panics has changed nothing, and the session can still be used.
func TestChangeThatFails(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	soldOut := errors.New("sold out")
	k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		if err := session.Update(r.Context(), func(c *cart) error { c.Items[0] = "half"; return soldOut }); !errors.Is(err, soldOut) {
			t.Errorf("%v", err)
		}
		func(ctx context.Context) {
			defer func() { _ = recover() }()
			_ = session.Update(ctx, func(c *cart) error { c.Items[0] = "half"; panic("halfway") })
		}(r.Context())
		if err := session.Update(r.Context(), func(c *cart) error { c.More = map[string]any{"f": func() {}}; return nil }); !isDataError(err) {
			t.Errorf("not JSON: %v", err)
		}
		if err := session.Update(r.Context(), put("milk")); err != nil {
			t.Error(err)
		}
	})
	if diff := cmp.Diff([]string{"tea", "milk"}, k.items(t.Context(), t)); diff != "" {
		t.Error(diff)
	}
}

func isDataError(err error) bool {
	_, ok := errors.AsType[*sessionhttp.DataError](err)
	return ok
}

// Of parallel requests that each add something nothing is lost, and none is turned away.
func TestParallelRequests(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	const requests, goroutines = 6, 3
	var together sync.WaitGroup
	together.Add(requests)
	handler := k.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		together.Done()
		together.Wait() // all have read the same data
		ctx := r.Context()
		var group sync.WaitGroup
		for range goroutines {
			group.Go(func() {
				if err := k.manager.From(ctx).Update(ctx, put("milk")); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}))
	var group sync.WaitGroup
	for range requests {
		group.Go(func() {
			w := httptest.NewRecorder()
			if handler.ServeHTTP(w, k.request(t)); w.Code != http.StatusOK {
				t.Errorf("%d", w.Code)
			}
		})
	}
	group.Wait()
	if got := len(k.items(t.Context(), t)); got != 1+requests*goroutines {
		t.Errorf("%d items", got)
	}
}

// After Save a handler reports what is stored, others' changes included.
func TestSaveThenRead(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	w := k.serve(t, func(w http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		k.behindItsBack(r.Context(), t, `["coffee"]`)
		if err := session.Update(r.Context(), put("milk")); err != nil {
			t.Error(err)
		}
		if err := session.Save(r.Context()); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, strings.Join(session.Read().Items, ","))
	})
	if w.Body.String() != "coffee,milk" || k.stored(t) != `{"items": ["coffee", "milk"]}` {
		t.Errorf("told %q, stored %s", w.Body, k.stored(t))
	}
}

// A change that does not apply to what another request has made of the data is a conflict:
// the response that it replaces leaves nothing behind.
func TestConflictReplacesTheResponse(t *testing.T) {
	t.Parallel()
	var log logs
	k := setup(t, sessionhttp.Config{Logger: log.logger()})
	outer := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "kept")
		w.Header().Set("Vary", "Origin")
		k.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err := k.manager.From(r.Context()).Update(r.Context(), func(c *cart) error {
				if c.Items[0] != "tea" {
					return errors.New("there is no tea")
				}
				c.Items[0] = "milk"
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			k.behindItsBack(r.Context(), t, `["coffee"]`)
			for _, name := range []string{"Set-Cookie", "Cache-Control", "ETag", "Content-Disposition", "Link", "Content-Length", "Location", "X-Own", "Vary"} {
				w.Header().Set(name, "7")
			}
			w.WriteHeader(http.StatusCreated)
			if _, err := io.WriteString(w, "created"); err == nil {
				t.Error("the handler may continue writing")
			}
			if err := k.manager.From(r.Context()).Update(r.Context(), put("late")); !errors.Is(err, sessionhttp.ErrDiscarded) {
				t.Errorf("a change after that: %v", err)
			}
		})).ServeHTTP(w, r)
	}
	w := httptest.NewRecorder()
	outer(w, k.request(t))
	want := http.Header{
		"X-Request-Id": {"kept"}, "Vary": {"Origin"},
		"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"},
	}
	if diff := cmp.Diff(want, w.Header()); diff != "" || w.Code != http.StatusConflict || w.Body.String() != "Conflict\n" {
		t.Errorf("%d %q %s", w.Code, w.Body, diff)
	}
	if got := k.stored(t); got != `{"items": ["coffee"]}` {
		t.Errorf("stored %s", got)
	}
	if !strings.Contains(log.String(), "was not stored") || !strings.Contains(log.String(), k.session.ID.String()) {
		t.Errorf("the log is %q", log.String())
	}
}

// A handler that calls Save handles the error itself, and the data is what is stored.
func TestHandlerDealsWithAConflict(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	w := k.serve(t, func(w http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		first := true
		if err := session.Update(r.Context(), func(c *cart) error {
			if !first {
				return errors.New("only once")
			}
			first = false
			c.Items = nil
			return nil
		}); err != nil {
			t.Error(err)
		}
		k.behindItsBack(r.Context(), t, `["coffee"]`)
		if err := session.Save(r.Context()); !errors.Is(err, sessionstore.ErrConflict) {
			t.Errorf("save: %v", err)
		}
		if diff := cmp.Diff([]string{"coffee"}, session.Read().Items); diff != "" {
			t.Error(diff)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	if w.Code != http.StatusAccepted || k.stored(t) != `{"items": ["coffee"]}` {
		t.Errorf("%d, %s", w.Code, k.stored(t))
	}
}

func TestEnd(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	w := k.serve(t, func(w http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		update(r.Context(), t, session, func(c *cart) { c.Items = nil })
		if err := session.End(r.Context()); err != nil {
			t.Error(err)
		}
		if err := session.Update(r.Context(), put("milk")); !errors.Is(err, sessionstore.ErrEnded) {
			t.Errorf("a change after the end: %v", err)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if w.Code != http.StatusNoContent || k.stored(t) != unchanged {
		t.Errorf("%d, %s", w.Code, k.stored(t))
	}
	if w := k.serve(t, nil); w.Code != http.StatusUnauthorized {
		t.Errorf("after the end: %d", w.Code)
	}
}

// Data over the limit is an error that names the limit, in the log and nowhere else; the
// session continues.
func TestTooMuchData(t *testing.T) {
	t.Parallel()
	var log logs
	k := setup(t, sessionhttp.Config{Logger: log.logger()})
	w := k.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if err := k.manager.From(r.Context()).Update(r.Context(), put(strings.Repeat("x", sessionstore.MaxDataBytes))); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, "stored")
	})
	if w.Code != http.StatusInternalServerError || w.Body.String() != "Internal Server Error\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), strconv.Itoa(sessionstore.MaxDataBytes)) {
		t.Errorf("the log is %q", log.String())
	}
	if w := k.serve(t, func(http.ResponseWriter, *http.Request) {}); w.Code != http.StatusOK || k.stored(t) != unchanged {
		t.Errorf("after that: %d, %s", w.Code, k.stored(t))
	}
}

// A function that calls Update itself gets an error instead of waiting for itself.
func TestUpdateWithinUpdate(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{SaveTimeout: 1}) // ns: it expires immediately
	k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		session := k.manager.From(ctx)
		if err := session.Update(ctx, func(*cart) error { return session.Update(ctx, put("milk")) }); !errors.Is(err, sessionhttp.ErrBusy) {
			t.Errorf("%v", err)
		}
	})
}
