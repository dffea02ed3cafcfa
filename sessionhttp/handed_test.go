package sessionhttp_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// recovering answers a panic with 500, as chi's Recoverer does.
func recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// fails is a change whose data is too large to store.
func fails(t *testing.T, s *sessionhttp.Session[cart], r *http.Request) {
	t.Helper()
	if err := s.Update(r.Context(), put(strings.Repeat("x", sessionstore.MaxDataBytes))); err != nil {
		t.Error(err)
	}
}

// panicsAgain makes a change that must be repeated, and then panics.
func panicsAgain(t *testing.T, s site, r *http.Request) {
	t.Helper()
	session, again := s.From(r.Context()), false
	err := session.Update(r.Context(), func(c *cart) error {
		if again {
			panic("no answer")
		}
		again = true
		return put("milk")(c)
	})
	if err != nil {
		panic("it has ended")
	}
	stored, err := s.store.Load(r.Context(), session.Info.ID)
	if err != nil {
		t.Error(err)
	}
	if _, err := s.store.Update(r.Context(), stored.ID, stored.Checksum, []byte(`{"items":["tea"],"more":{"by":"another"}}`)); err != nil {
		t.Error(err)
	}
}

// Whatever happens to the response after new tokens were made, the browser gets them: the old ones may
// be of a session that has ended.
func TestTokensSurviveTheResponse(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	outer := site{s.store, sessionhttp.New[cart](s.store, sessionhttp.Config{Transport: sessionhttp.Cookies{Name: "outer"}, Optional: true})}
	makes := map[string]func(w http.ResponseWriter, r *http.Request) error{
		"refresh": func(http.ResponseWriter, *http.Request) error { return nil },
		"renew": func(_ http.ResponseWriter, r *http.Request) error {
			_, err := s.From(r.Context()).Renew(r.Context(), sessionstore.CreateParams{})
			return err
		},
		"begin": func(w http.ResponseWriter, r *http.Request) error {
			_, _, err := s.Begin(w, r, cart{Items: []string{"tea"}}, sessionstore.CreateParams{Subject: "ann"})
			return err
		},
		"end": func(w http.ResponseWriter, r *http.Request) error { return s.End(w, r) },
	}
	spoils := map[string]func(then http.HandlerFunc) http.Handler{
		"panic": func(then http.HandlerFunc) http.Handler {
			return recovering(s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				then(w, r)
				panic("no answer")
			})))
		},
		"a change panics when it is made again": func(then http.HandlerFunc) http.Handler {
			return recovering(s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				then(w, r)
				panicsAgain(t, s, r)
			})))
		},
		"a change panics, which is recovered inside": func(then http.HandlerFunc) http.Handler {
			return s.Handler(recovering(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				then(w, r)
				panicsAgain(t, s, r)
				w.WriteHeader(http.StatusOK)
			})))
		},
		"another's change fails": func(then http.HandlerFunc) http.Handler {
			return outer.Handler(s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				then(w, r)
				fails(t, outer.From(r.Context()), r)
			})))
		},
		"time-out inside": func(then http.HandlerFunc) http.Handler {
			return s.Handler(http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				then(w, r)
				<-r.Context().Done()
			}), time.Second/4, ""))
		},
	}
	for made, renew := range makes {
		for spoilt, spoil := range spoils {
			t.Run(made+", "+spoilt, func(t *testing.T) {
				t.Parallel()
				ann := browser{}
				ann.open(t, s, http.MethodPost)
				ann.open(t, outer, http.MethodPost)
				delete(ann, accessCookie) // so that it is refreshed on the way
				w := ann.send(t, spoil(func(w http.ResponseWriter, r *http.Request) {
					if err := renew(w, r); err != nil {
						t.Error(err)
					}
				}), http.MethodGet)
				ann.keep(w)
				want := "200 tea"
				if made == "end" {
					want = "200 a visitor"
				}
				if w.Code < 500 || made != "end" && ann[accessCookie] == "" || made == "end" && ann[refreshCookie] != "" {
					t.Errorf("%d, %v", w.Code, w.Header())
				}
				if got := ann.open(t, s, http.MethodGet); got != want {
					t.Errorf("after that: %s", got)
				}
			})
		}
	}
}

// Once an answer is on its way nothing begins that it cannot hand over.
func TestBeginTooLate(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	for status, want := range map[int]error{http.StatusOK: sessionhttp.ErrBegun, http.StatusServiceUnavailable: sessionhttp.ErrDiscarded} {
		ann := browser{}
		ann.open(t, s, http.MethodPost)
		ann.open(t, s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			if _, _, err := s.Begin(w, r, cart{}, sessionstore.CreateParams{}); !errors.Is(err, want) {
				t.Errorf("%d: %v", status, err)
			}
		})), http.MethodGet)
		if got := ann.open(t, s, http.MethodGet); got != "200 tea" {
			t.Errorf("after that: %s", got)
		}
	}
}

// Nor does it for a visitor who had no session: no client would have its tokens.
func TestFirstLoginTooLate(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	w := browser{}.send(t, s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		if _, _, err := s.Begin(w, r, cart{}, sessionstore.CreateParams{Subject: "late"}); !errors.Is(err, sessionhttp.ErrBegun) {
			t.Errorf("%v", err)
		}
	})), http.MethodGet)
	page, err := s.store.List(t.Context(), "late", sessionstore.ListParams{})
	if err != nil || len(page.Sessions) != 0 || w.Header()["Set-Cookie"] != nil {
		t.Errorf("%v, %v, %v", page, err, w.Header())
	}
}

// slowStore creates a session only when the test allows it.
type slowStore struct {
	sessionhttp.Store

	asked, goOn chan struct{}
}

func (s slowStore) Create(ctx context.Context, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error) {
	close(s.asked)
	<-s.goOn
	return s.Store.Create(ctx, params)
}

// The session of a first login whose response begins meanwhile has ended.
func TestResponseBeginsBesideTheFirstLogin(t *testing.T) {
	t.Parallel()
	store := setup(t, sessionhttp.Config{}).store
	slow := slowStore{store, make(chan struct{}), make(chan struct{})}
	sessions := sessionhttp.New[cart](slow, sessionhttp.Config{Transport: sessionhttp.Cookies{}, Optional: true})
	failed := make(chan error, 1)
	browser{}.send(t, sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		go func() {
			_, _, err := sessions.Begin(w, r, cart{}, sessionstore.CreateParams{Subject: "late"})
			failed <- err
		}()
		<-slow.asked
		w.WriteHeader(http.StatusOK)
		close(slow.goOn)
	})), http.MethodGet)
	if err := <-failed; !errors.Is(err, sessionhttp.ErrBegun) {
		t.Errorf("%v", err)
	}
	if page, err := store.List(t.Context(), "late", sessionstore.ListParams{}); err != nil || len(page.Sessions) != 0 {
		t.Errorf("%v, %v", page, err)
	}
}

// The cookies of a first login are in whatever response the request gets, like those of later
// ones.
func TestFirstLoginInATimeout(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	ann := browser{}
	w := ann.send(t, s.Handler(http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := s.Begin(w, r, cart{Items: []string{"tea"}}, sessionstore.CreateParams{}); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	}), time.Second/4, "")), http.MethodGet)
	ann.keep(w)
	if got := ann.open(t, s, http.MethodGet); w.Code != http.StatusServiceUnavailable || got != "200 tea" {
		t.Errorf("%d, and then %s", w.Code, got)
	}
}

// A refresh is handed over although the data does not decode: the same refresh token again and again
// would look like a theft some day.
func TestTokensOfDataThatDoesNotDecode(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{}, unchangedConfig)
	_, pair, err := s.store.Create(t.Context(), sessionstore.CreateParams{Data: []byte(`{"items":7}`)})
	if err != nil {
		t.Fatal(err)
	}
	ann := browser{refreshCookie: string(pair.RefreshToken)}
	w := ann.send(t, s, http.MethodGet)
	if w.Code != http.StatusUnauthorized || len(w.Header()["Set-Cookie"]) != 2 {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// An answer that comes after a login in another tab does not put its cookies in place of that login's.
func TestLoginMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	ann := browser{}
	ann.open(t, s, http.MethodPost)
	late := browser{refreshCookie: ann[refreshCookie]}.send(t, s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ann.open(t, s, http.MethodPost) //nolint:contextcheck // it is another request
		w.WriteHeader(http.StatusNoContent)
	})), http.MethodGet)
	ann.keep(late)
	if got := ann.open(t, s, http.MethodPut); late.Code != http.StatusNoContent || late.Header()["Set-Cookie"] != nil || got != "200 tea,milk" {
		t.Errorf("%d %v, and then %s", late.Code, late.Header(), got)
	}
}

// A manager that is in a chain twice has one session.
func TestManagerTwice(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	ann := browser{}
	ann.open(t, s, http.MethodPost)
	delete(ann, accessCookie)
	ann.open(t, s.Handler(s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := s.From(r.Context()).Renew(r.Context(), sessionstore.CreateParams{}); err != nil {
			t.Error(err)
		}
	}))), http.MethodGet)
	if got := ann.open(t, s, http.MethodGet); got != "200 tea" {
		t.Error(got)
	}
}

// A page of another host of the same site opens no WebSocket with the cookies.
func TestCrossSiteWebSocket(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	ann := browser{}
	ann.open(t, s, http.MethodPost)
	for origin, want := range map[string]int{"https://evil.example.com": http.StatusForbidden, "https://shop.example.com": http.StatusOK} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://shop.example.com/", http.NoBody)
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("Origin", origin)
		r.AddCookie(&http.Cookie{Name: accessCookie, Value: ann[accessCookie]})
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != want {
			t.Errorf("from %s: %d", origin, w.Code)
		}
	}
}

// A pattern exempts WebSockets if it names no method, or the one that they count as.
func TestExemptedWebSocket(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]error{"/ws": sessionhttp.ErrNoToken, "POST /ws": sessionhttp.ErrNoToken, "GET /ws": sessionhttp.ErrCrossSite, "/other": sessionhttp.ErrCrossSite} {
		protection := http.NewCrossOriginProtection()
		protection.AddInsecureBypassPattern(pattern)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://shop.example.com/ws", http.NoBody)
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("Origin", "https://partner.example.com")
		if _, err := (sessionhttp.Cookies{Protection: protection}).Read(r); !errors.Is(err, want) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}
