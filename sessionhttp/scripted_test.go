package sessionhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/memstore"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// scripted is a store that answers some calls with errors, and whose clock is ahead. It
// notes which tokens were read without being confirmed.
type scripted struct {
	*memstore.Store
	gets            []error // of the first calls, nil for none
	refresh, update error
	invalidate      error
	by              time.Duration
	unconfirmed     []bool
}

func (s *scripted) Now() time.Time { return s.Store.Now().Add(s.by) }

func (s *scripted) GetWith(ctx context.Context, accessToken string, options sessionstore.GetOptions) (sessionstore.Session, tokens.Claims, error) {
	s.unconfirmed = append(s.unconfirmed, options.Unconfirmed)
	if n := len(s.unconfirmed) - 1; n < len(s.gets) && s.gets[n] != nil {
		return sessionstore.Session{}, tokens.Claims{}, s.gets[n]
	}
	return s.Store.GetWith(ctx, accessToken, options)
}

func (s *scripted) RefreshTokens(ctx context.Context, refreshToken string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	if s.refresh != nil {
		return sessionstore.Refreshed{}, s.refresh
	}
	return s.Store.RefreshTokens(ctx, refreshToken, client)
}

func (s *scripted) Update(ctx context.Context, id uuid.UUID, checksum string, data []byte) (string, error) {
	if s.update != nil {
		return "", s.update
	}
	return s.Store.Update(ctx, id, checksum, data)
}

func (s *scripted) Invalidate(ctx context.Context, id uuid.UUID, cause ...sessionstore.Cause) error {
	if s.invalidate != nil {
		return s.invalidate
	}
	return s.Store.Invalidate(ctx, id, cause...)
}

// newScripted is a store with a session, which is in the cookies.
func newScripted(t *testing.T, cfg sessionstore.Config) (*scripted, browser) {
	t.Helper()
	s := &scripted{Store: memstore.MustNew(cfg)}
	_, pair, err := s.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	return s, browser{accessCookie: string(pair.AccessToken), refreshCookie: string(pair.RefreshToken)}
}

// An access token is replaced in the last 30 seconds of its life, or in the last tenth if that is shorter.
func TestWhenTokensAreReplaced(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		lifetime, by time.Duration
		fresh        bool
	}{
		{10 * time.Minute, 9*time.Minute + 30*time.Second, false},
		{10 * time.Minute, 9*time.Minute + 30*time.Second + 1, true},
		{2 * time.Minute, 108 * time.Second, false},
		{2 * time.Minute, 108*time.Second + 1, true},
	} {
		cfg := sessionstore.Config{Lifetimes: sessionstore.Lifetimes{AccessToken: test.lifetime}}
		cfg.Tokens.Now = func() time.Time { return now }
		store, ann := newScripted(t, cfg)
		store.by = test.by
		w := ann.send(t, site{nil, sessionhttp.New[cart](store, sessionhttp.Config{Transport: sessionhttp.Cookies{}})}, http.MethodGet)
		if fresh := w.Header()["Set-Cookie"] != nil; w.Code != http.StatusOK || fresh != test.fresh {
			t.Errorf("of %v, after %v: %d, replaced: %t", test.lifetime, test.by, w.Code, fresh)
		}
	}
}

// A request and its client get what the store's answers about the tokens in their cookies call for.
func TestStoresAnswers(t *testing.T) {
	t.Parallel()
	both, refreshOnly := []string{accessCookie, refreshCookie}, []string{refreshCookie}
	for name, test := range map[string]struct {
		cookies     []string
		store       scripted
		unconfirmed []bool // of each read; a new pair is read again when the response begins
		is          error  // that the request fails with; nil for none
		invalid     bool   // it says that the tokens are not valid
		fresh       bool   // the client gets a pair
	}{
		"good":                         {both, scripted{}, []bool{false}, nil, false, false},
		"no access token":              {refreshOnly, scripted{}, []bool{true, true}, nil, false, true},
		"no access token, an outage":   {refreshOnly, scripted{refresh: sessionstore.ErrUnavailable}, nil, sessionstore.ErrUnavailable, false, false},
		"stolen":                       {refreshOnly, scripted{refresh: sessionstore.ErrReuse}, nil, sessionstore.ErrReuse, true, false},
		"bound":                        {refreshOnly, scripted{refresh: sessionstore.ErrNotProven}, nil, sessionstore.ErrNotProven, true, false},
		"superseded":                   {both, scripted{gets: []error{sessionstore.ErrSuperseded}}, []bool{false, true, true}, nil, false, true},
		"superseded, then an outage":   {both, scripted{gets: []error{sessionstore.ErrSuperseded, sessionstore.ErrUnavailable}}, []bool{false, true}, sessionstore.ErrUnavailable, false, true},
		"superseded, then a sign-out":  {both, scripted{gets: []error{sessionstore.ErrSuperseded, sessionstore.ErrEnded}}, []bool{false, true}, sessionstore.ErrEnded, true, false},
		"expired, and in an outage":    {both, scripted{gets: []error{tokens.ErrExpired}, refresh: sessionstore.ErrUnavailable}, []bool{false}, sessionstore.ErrUnavailable, false, false},
		"ended: there is no refresh":   {both, scripted{gets: []error{sessionstore.ErrEnded}}, []bool{false}, sessionstore.ErrEnded, true, false},
		"an outage: there is none too": {both, scripted{gets: []error{sessionstore.ErrUnavailable}}, []bool{false}, sessionstore.ErrUnavailable, false, false},
	} {
		store, ann := newScripted(t, sessionstore.Config{})
		store.gets, store.refresh = test.store.gets, test.store.refresh
		has := browser{}
		for _, cookie := range test.cookies {
			has[cookie] = ann[cookie]
		}
		var got error
		manager := sessionhttp.New[cart](store, sessionhttp.Config{
			Transport: sessionhttp.Cookies{}, Logger: new(logs).logger(),
			OnError: func(_ http.ResponseWriter, _ *http.Request, err error) { got = err },
		})
		served := false
		w := has.send(t, manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			served = manager.From(r.Context()).Claims.Subject == "ann"
		})), http.MethodGet)
		if !errors.Is(got, test.is) || sessionhttp.IsInvalidToken(got) != test.invalid || served != (test.is == nil) {
			t.Errorf("%s: served: %t, the error is %v", name, served, got)
		}
		if fresh := w.Header()["Set-Cookie"] != nil; fresh != test.fresh {
			t.Errorf("%s: the client gets a pair: %t", name, fresh)
		}
		if diff := cmp.Diff(test.unconfirmed, store.unconfirmed); diff != "" {
			t.Errorf("%s: unconfirmed: %s", name, diff)
		}
	}
}

// A sign-out or a sign-in in a handler without the middleware fails in an outage: the session of the request would
// live on. Invalid tokens prevent neither, nor does a session that no longer exists.
func TestSignOutsInAnOutage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ read, end, want error }{
		{sessionstore.ErrUnavailable, nil, sessionstore.ErrUnavailable},
		{nil, sessionstore.ErrUnavailable, sessionstore.ErrUnavailable},
		{sessionstore.ErrEnded, nil, nil},
		{sessionstore.ErrNotFound, nil, nil},
		{tokens.ErrWrongType, nil, nil},
		{nil, sessionstore.ErrNotFound, nil},
		{nil, nil, nil},
	} {
		for name, do := range map[string]func(*sessionhttp.Manager[cart], http.ResponseWriter, *http.Request) error{
			"out": func(m *sessionhttp.Manager[cart], w http.ResponseWriter, r *http.Request) error { return m.End(w, r) },
			"in": func(m *sessionhttp.Manager[cart], w http.ResponseWriter, r *http.Request) error {
				_, _, err := m.Begin(w, r, cart{}, sessionstore.CreateParams{})
				return err
			},
		} {
			store, ann := newScripted(t, sessionstore.Config{})
			store.gets, store.refresh, store.invalidate = []error{test.read}, test.read, test.end
			manager := sessionhttp.New[cart](store, sessionhttp.Config{Transport: sessionhttp.Cookies{}})
			w := ann.send(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if got := do(manager, w, r); !errors.Is(got, test.want) {
					t.Errorf("signing %s, %+v: %v", name, test, got)
				}
			}), http.MethodPost)
			if answered := w.Header()["Set-Cookie"] != nil; answered != (test.want == nil) {
				t.Errorf("signing %s, %+v: the cookies change: %t", name, test, answered)
			}
		}
	}
}

// A change that cannot be stored replaces the response, once, whichever way the handler writes it: nothing of
// the handler's is sent, and it learns that. Headers that were set before the handler stay.
func TestResponsesThatAreReplaced(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(http.ResponseWriter) (int64, error){
		"Write": func(w http.ResponseWriter) (int64, error) {
			n, err := io.WriteString(w, "done")
			return int64(n), err
		},
		"WriteHeader": func(w http.ResponseWriter) (int64, error) {
			w.WriteHeader(http.StatusCreated)
			n, err := io.WriteString(w, "done")
			return int64(n), err
		},
		"ReadFrom": func(w http.ResponseWriter) (int64, error) { return io.Copy(w, strings.NewReader("done")) },
		"ReadFrom, begun": func(w http.ResponseWriter) (int64, error) {
			w.WriteHeader(http.StatusOK)
			return io.Copy(w, struct{ io.Reader }{strings.NewReader("done")})
		},
		"Flush": func(w http.ResponseWriter) (int64, error) { return 0, http.NewResponseController(w).Flush() },
	} {
		store, ann := newScripted(t, sessionstore.Config{})
		store.update = sessionstore.ErrUnavailable
		failed := 0
		manager := sessionhttp.New[cart](store, sessionhttp.Config{
			Transport: sessionhttp.Cookies{}, Logger: new(logs).logger(),
			OnError: func(w http.ResponseWriter, r *http.Request, err error) {
				failed++
				sessionhttp.Error(w, r, err)
			},
		})
		w := ann.send(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Outer", "stays")
			manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				update(r.Context(), t, manager.From(r.Context()), func(c *cart) { c.Items = []string{"milk"} })
				w.Header().Set("X-Inner", "goes")
				for range 2 {
					if n, err := write(w); n != 0 || err == nil {
						t.Errorf("%s: %d bytes, %v", name, n, err)
					}
				}
			})).ServeHTTP(w, r)
		}), http.MethodPost)
		if got := fmt.Sprintf("%d %s", w.Code, w.Body); got != "503 Service Unavailable\n" || failed != 1 {
			t.Errorf("%s: %q, %d errors", name, got, failed)
		}
		if w.Header().Get("X-Outer") != "stays" || w.Header().Get("X-Inner") != "" {
			t.Errorf("%s: %v", name, w.Header())
		}
	}
}

// Data that a repair leaves undecodable is a fault of the program, not a visitor's request. So is a
// visitor's empty data, if the manager's type is not an object.
func TestFaultsAreNoVisitors(t *testing.T) {
	t.Parallel()
	store, ann := newScripted(t, sessionstore.Config{})
	cfg := sessionhttp.Config{Transport: sessionhttp.Cookies{}, Optional: true}
	served := func(http.ResponseWriter, *http.Request) { t.Error("it is served") }
	cfg.Logger = new(logs).logger()
	cfg.Repair = func(context.Context, sessionstore.Session, error) ([]byte, error) { return []byte(`{}`), nil }
	if w := ann.send(t, sessionhttp.New[[]string](store, cfg).Handler(http.HandlerFunc(served)), http.MethodGet); w.Code != http.StatusInternalServerError {
		t.Errorf("after a repair: %d", w.Code)
	}
	cfg.Anonymous = func(*http.Request) sessionstore.CreateParams { return sessionstore.CreateParams{} }
	if w := (browser{}).send(t, sessionhttp.New[[]string](store, cfg).Handler(http.HandlerFunc(served)), http.MethodGet); w.Code != http.StatusInternalServerError {
		t.Errorf("a visitor: %d", w.Code)
	}
}

// RFC 9449 §8.2: a client that proves possession gets the nonce of its next proof. A proof that cannot be remembered is
// our fault; any other that is missing or wrong makes the token invalid.
func TestProofsOfRequests(t *testing.T) {
	t.Parallel()
	const base = "https://api.example.com"
	device := testkeys.NewDevice(t)
	store := memstore.MustNew(sessionstore.Config{})
	_, pair, err := store.Create(t.Context(), sessionstore.CreateParams{KeyThumbprint: device.Thumbprint(t)})
	if err != nil {
		t.Fatal(err)
	}
	access := string(pair.AccessToken)
	nonces, err := dpop.NewNonces(func() [][]byte { return [][]byte{[]byte(strings.Repeat("n", 32))} })
	if err != nil {
		t.Fatal(err)
	}
	var got error
	send := func(cfg dpop.Config, authorization string) *httptest.ResponseRecorder {
		cfg.BaseURL = base
		proofs, err := dpop.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		manager := sessionhttp.New[cart](store, sessionhttp.Config{Proofs: proofs, Logger: new(logs).logger(), OnError: func(_ http.ResponseWriter, _ *http.Request, err error) { got = err }})
		var w *httptest.ResponseRecorder
		for range 2 {
			got, w = nil, httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/cart", http.NoBody)
			r.Header.Set("Authorization", authorization)
			r.Header.Set("DPoP", device.Proof(t, http.MethodPost, base+"/cart", access, ""))
			manager.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		}
		return w
	}
	for name, test := range map[string]struct {
		cfg           dpop.Config
		authorization string
		is            error
		invalid       bool
		nonce         bool
	}{
		"good":              {dpop.Config{}, "DPoP ", nil, false, false},
		"too many":          {dpop.Config{Remember: 1}, "DPoP ", dpop.ErrUnavailable, false, false},
		"without the nonce": {dpop.Config{Nonces: nonces}, "DPoP ", dpop.ErrInvalid, true, true},
		"as bearer":         {dpop.Config{Nonces: nonces}, "Bearer ", tokens.ErrInvalid, true, false},
	} {
		w := send(test.cfg, test.authorization+access)
		if !errors.Is(got, test.is) || sessionhttp.IsInvalidToken(got) != test.invalid || (w.Header().Get(dpop.NonceHeader) != "") != test.nonce {
			t.Errorf("%s: %v, the nonce is %q", name, got, w.Header().Get(dpop.NonceHeader))
		}
	}
}

// Each error has its status, and only our own faults say when to try again.
func TestErrorsHaveTheirStatus(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		sessionhttp.ErrCrossSite: "403", sessionhttp.ErrFormToken: "403", sessionstore.ErrConflict: "409",
		sessionstore.ErrUnavailable: "503 1", dpop.ErrUnavailable: "503 1", sessionhttp.ErrDiscarded: "503 1", sessionhttp.ErrBusy: "503 1",
		sessionhttp.ErrNoToken: "401", sessionhttp.ErrMalformed: "401", tokens.ErrExpired: "401", sessionstore.ErrEnded: "401",
		sessionstore.ErrSuperseded: "401", sessionstore.ErrNotFound: "401", sessionhttp.ErrBegun: "500", errors.ErrUnsupported: "500",
	} {
		w := httptest.NewRecorder()
		sessionhttp.Error(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody), fmt.Errorf("a request: %w", err))
		if got := strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Header().Get("Retry-After"))); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

// Unsafe requests of a session are not served without the token of a form. The first token of a session makes a secret,
// which later ones keep.
func TestFormTokens(t *testing.T) {
	t.Parallel()
	store, ann := newScripted(t, sessionstore.Config{})
	cfg := sessionhttp.Config{Transport: sessionhttp.Cookies{}, Optional: true, Anonymous: func(*http.Request) sessionstore.CreateParams { return sessionstore.CreateParams{} }}
	manager := sessionhttp.New[guarded](store, cfg)
	forms := sessionhttp.NewForms(manager, func(g *guarded) *[]byte { return &g.Secret })
	var token string
	var err error
	var stored []byte
	meanwhile := func() {}
	page := manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		meanwhile()
		token, err = forms.Token(r.Context())
		stored = manager.From(r.Context()).Read().Secret
	}))

	store.update = sessionstore.ErrUnavailable
	if ann.send(t, page, http.MethodGet); !errors.Is(err, sessionstore.ErrUnavailable) || token != "" {
		t.Errorf("a secret that cannot be stored: %q, %v", token, err)
	}
	store.update = nil
	var faster string
	meanwhile = func() { // another page's request is faster
		meanwhile = func() {}
		ann.send(t, page, http.MethodGet)
		faster = token
	}
	if ann.send(t, page, http.MethodGet); err != nil || len(stored) != 32 || faster == token || faster == "" {
		t.Fatalf("%q, %q, %v, the secret is of %d bytes", faster, token, err, len(stored))
	}

	ended, eve := newScripted(t, sessionstore.Config{})
	ending := sessionhttp.New[guarded](ended, cfg)
	eve.send(t, ending.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := ending.From(r.Context()).End(r.Context()); err != nil {
			t.Error(err)
		}
		of := sessionhttp.NewForms(ending, func(g *guarded) *[]byte { return &g.Secret })
		if token, err := of.Token(r.Context()); err == nil {
			t.Errorf("of a session that has ended: %q", token)
		}
	})), http.MethodGet)

	served := false
	guard := manager.Handler(forms.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true })))
	for _, test := range []struct {
		who    browser
		method string
		token  string
		want   bool
	}{
		{ann, http.MethodPost, token, true},
		{ann, http.MethodPost, faster, true},
		{ann, http.MethodDelete, token, true},
		{ann, http.MethodPost, "", false},
		{ann, http.MethodPut, "", false},
		{ann, http.MethodPatch, "", false},
		{ann, http.MethodDelete, "", false},
		{ann, http.MethodPost, token + "!", false},
		{ann, http.MethodPost, token[:len(token)-4], false},
		{ann, http.MethodGet, "", true},
		{ann, http.MethodHead, "", true},
		{ann, http.MethodOptions, "", true},
		{ann, http.MethodTrace, "", true},
		{browser{}, http.MethodPost, "", true}, // a visitor
	} {
		served = false
		r := httptest.NewRequestWithContext(t.Context(), test.method, "https://shop.example.com/", http.NoBody)
		for name, value := range test.who {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		r.Header.Set(sessionhttp.FormHeader, test.token)
		w := httptest.NewRecorder()
		if guard.ServeHTTP(w, r); served != test.want || (w.Code == http.StatusForbidden) == test.want {
			t.Errorf("%s with %q: %d, served: %t", test.method, test.token, w.Code, served)
		}
	}
}
