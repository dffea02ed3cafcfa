package sessionhttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
)

// A handler that continues after http.TimeoutHandler has answered for it does no harm: its
// changes are not stored with the 503, and it gets an error.
func TestTimeoutInside(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	ended := make(chan error, 1)
	slow := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		session := k.manager.From(r.Context())
		for {
			session.Read()
			err := session.Update(r.Context(), func(c *cart) error {
				if c.More == nil {
					c.More = map[string]any{}
				}
				c.More[time.Now().String()] = c.Items
				return nil
			})
			if err != nil {
				ended <- err
				return
			}
		}
	})
	w := httptest.NewRecorder()
	k.manager.Handler(http.TimeoutHandler(slow, time.Millisecond, "")).ServeHTTP(w, k.request(t))
	if err := <-ended; !errors.Is(err, sessionhttp.ErrDiscarded) {
		t.Errorf("%v", err)
	}
	if w.Code != http.StatusServiceUnavailable || k.stored(t) != unchanged {
		t.Errorf("%d, %s", w.Code, k.stored(t))
	}
}

// Changes of a request that an outer time-out has answered are not stored either.
func TestTimeoutOutside(t *testing.T) {
	t.Parallel()
	for name, outside := range map[string]func(http.Handler) http.Handler{
		"net/http": func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Second/4, "") },
		"chi":      middleware.Timeout(time.Second / 4),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logs
			k := setup(t, sessionhttp.Config{Logger: log.logger()})
			inner := k.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := k.manager.From(r.Context()).Update(r.Context(), put("milk")); err != nil {
					t.Error(err)
				}
				<-r.Context().Done()
				_, _ = io.WriteString(w, "done")
			}))
			returned := make(chan struct{})
			w := httptest.NewRecorder()
			outside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(returned)
				inner.ServeHTTP(w, r)
			})).ServeHTTP(w, k.request(t))
			<-returned
			if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "done") || k.stored(t) != unchanged {
				t.Errorf("%d %q, %s", w.Code, w.Body, k.stored(t))
			}
		})
	}
}

// A goroutine that outlives its handler stores what it changes, and learns the result.
func TestGoroutineOutlivesTheHandler(t *testing.T) {
	t.Parallel()
	var log logs
	k := setup(t, sessionhttp.Config{Logger: log.logger()})
	answered, changed, ended, refused := make(chan struct{}), make(chan error), make(chan struct{}), make(chan error)
	w := k.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		session := k.manager.From(ctx)
		go func() {
			<-answered
			changed <- session.Update(ctx, put("later"))
			<-ended
			refused <- session.Update(ctx, put("too late"))
		}()
		update(r.Context(), t, session, func(c *cart) { c.Items = []string{"first"} })
	})
	if diff := cmp.Diff([]string{"first"}, k.items(t.Context(), t)); w.Code != http.StatusOK || diff != "" {
		t.Errorf("%d %s", w.Code, diff)
	}
	close(answered)
	if err := <-changed; err != nil {
		t.Errorf("a change after the answer: %v", err)
	}
	if diff := cmp.Diff([]string{"first", "later"}, k.items(t.Context(), t)); diff != "" {
		t.Error(diff)
	}
	if err := k.store.Invalidate(t.Context(), k.session.ID); err != nil {
		t.Fatal(err)
	}
	close(ended)
	if err := <-refused; !sessionhttp.IsInvalidToken(err) || !strings.Contains(log.String(), "was not stored") {
		t.Errorf("a change of an ended session: %v, the log is %q", err, log.String())
	}
}

// After a panic nothing is stored, on whichever side of the middleware it is recovered.
func TestPanicStoresNothing(t *testing.T) {
	t.Parallel()
	recovered := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				if recover() != nil {
					w.WriteHeader(http.StatusInternalServerError)
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
	for name, wrap := range map[string]func(kit, http.Handler) http.Handler{
		"inside":  func(k kit, h http.Handler) http.Handler { return k.manager.Handler(recovered(h)) },
		"outside": func(k kit, h http.Handler) http.Handler { return recovered(k.manager.Handler(h)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t, sessionhttp.Config{})
			var session *sessionhttp.Session[cart]
			w := httptest.NewRecorder()
			wrap(k, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				session = k.manager.From(r.Context())
				update(r.Context(), t, session, func(c *cart) { c.Items = nil })
				panic("halfway")
			})).ServeHTTP(w, k.request(t))
			if err := session.Update(t.Context(), put("late")); !errors.Is(err, sessionhttp.ErrDiscarded) {
				t.Errorf("a change after it: %v", err)
			}
			if err := session.Save(t.Context()); err != nil && !errors.Is(err, sessionhttp.ErrDiscarded) {
				t.Errorf("%v", err)
			}
			if w.Code != http.StatusInternalServerError || k.stored(t) != unchanged {
				t.Errorf("%d, %s", w.Code, k.stored(t))
			}
		})
	}
}

// A handler that reports its own failure has not finished its changes. One that reports
// the client's failure may have counted it.
func TestStatusDecides(t *testing.T) {
	t.Parallel()
	for status, stored := range map[int]bool{200: true, 303: true, 401: true, 422: true, 500: false, 503: false} {
		k := setup(t, sessionhttp.Config{})
		k.serve(t, func(w http.ResponseWriter, r *http.Request) {
			update(r.Context(), t, k.manager.From(r.Context()), func(c *cart) { c.Items = []string{"milk"} })
			w.WriteHeader(http.StatusEarlyHints) // is not a final response
			update(r.Context(), t, k.manager.From(r.Context()), func(c *cart) { c.Items = append(c.Items, "milk") })
			w.WriteHeader(status)
		})
		if got := len(k.items(t.Context(), t)) == 2; got != stored {
			t.Errorf("%d: stored %v", status, k.items(t.Context(), t))
		}
	}
}

// When a client leaves, only its request ends; work due after it does not fail for that.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	ctx, leave := context.WithCancel(t.Context())
	w := httptest.NewRecorder()
	k.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		update(r.Context(), t, k.manager.From(r.Context()), func(c *cart) { c.Items = []string{"milk"} })
		leave()
	})).ServeHTTP(w, k.request(t).WithContext(ctx))
	if diff := cmp.Diff([]string{"milk"}, k.items(t.Context(), t)); diff != "" {
		t.Error(diff)
	}

	ctx, leave = context.WithCancel(t.Context())
	k.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		leave()
		if err := k.manager.From(r.Context()).End(r.Context()); err != nil {
			t.Errorf("end: %v", err)
		}
	})).ServeHTTP(w, k.request(t).WithContext(ctx))
	if w := k.serve(t, nil); w.Code != http.StatusUnauthorized {
		t.Errorf("after the end: %d", w.Code)
	}
}
