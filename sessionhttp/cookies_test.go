package sessionhttp_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/memstore"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const accessCookie, refreshCookie = "__Host-session", "__Host-session-refresh"

// browser is one's cookies.
type browser map[string]string

// send requests a page with the cookies; the answer's cookies are not stored.
func (b browser) send(t *testing.T, handler http.Handler, method string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "https://shop.example.com/", http.NoBody)
	for name, value := range b {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// keep stores the answer's cookies.
func (b browser) keep(w *httptest.ResponseRecorder) {
	for _, cookie := range w.Result().Cookies() {
		if b[cookie.Name] = cookie.Value; cookie.MaxAge < 0 {
			delete(b, cookie.Name)
		}
	}
}

// open requests a page, stores the cookies and returns the page.
func (b browser) open(t *testing.T, handler http.Handler, method string) string {
	t.Helper()
	w := b.send(t, handler, method)
	b.keep(w)
	return fmt.Sprintf("%d %s", w.Code, w.Body)
}

// site is a shop whose visitors are in cookies: POST logs in, PUT buys, DELETE logs out.
type site struct {
	store *sessionstore.Store
	*sessionhttp.Manager[cart]
}

func newSite(t *testing.T, cfg sessionhttp.Config, change func(*sessionstore.Config)) site {
	t.Helper()
	store := setup(t, sessionhttp.Config{}).with(t, change)
	if cfg.Transport == nil {
		cfg.Transport = sessionhttp.Cookies{}
	}
	return site{store, sessionhttp.New[cart](store, cfg)}
}

func (s site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Handler(http.HandlerFunc(s.serve)).ServeHTTP(w, r)
}

func (s site) serve(w http.ResponseWriter, r *http.Request) {
	session := s.From(r.Context())
	var err error
	switch r.Method {
	case http.MethodPost:
		_, _, err = s.Begin(w, r, cart{Items: []string{"tea"}}, sessionstore.CreateParams{Subject: "ann"})
	case http.MethodPut:
		err = session.Update(r.Context(), put("milk"))
	case http.MethodDelete:
		err = s.End(w, r)
	}
	switch {
	case err != nil:
		sessionhttp.Error(w, r, err)
	case session == nil:
		_, _ = io.WriteString(w, "a visitor")
	default:
		_, _ = io.WriteString(w, strings.Join(session.Read().Items, ","))
	}
}

func unchangedConfig(*sessionstore.Config) {}

// briefly configures access tokens that live for a few seconds, and a grace that ends immediately.
func briefly(cfg *sessionstore.Config) {
	cfg.Lifetimes.AccessToken = 4 * time.Second
	cfg.Grace = 1
}

// Log in, change something, log out.
func TestCookies(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	ann := browser{}
	if got := ann.open(t, s, http.MethodGet); got != "200 a visitor" || len(ann) != 0 {
		t.Errorf("%s %v", got, ann)
	}
	w := ann.send(t, s, http.MethodPost)
	ann.keep(w)
	if w.Header().Get("Cache-Control") != "no-store" || len(ann) != 2 {
		t.Errorf("%v", w.Header())
	}
	for _, cookie := range w.Header()["Set-Cookie"] {
		name, attributes, _ := strings.Cut(cookie, "=")
		_, attributes, _ = strings.Cut(attributes, "; ")
		if ann[name] == "" || attributes != "Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax" {
			t.Errorf("%s has %s", name, attributes)
		}
	}
	if got := ann.open(t, s, http.MethodPut); got != "200 tea,milk" {
		t.Error(got)
	}
	before := maps.Clone(ann)
	w = ann.send(t, s, http.MethodGet)
	if w.Body.String() != "tea,milk" || w.Header()["Set-Cookie"] != nil {
		t.Errorf("%q, %v", w.Body, w.Header())
	}
	if got := ann.open(t, s, http.MethodDelete); got != "200 tea,milk" || len(ann) != 0 {
		t.Errorf("%s %v", got, ann)
	}
	if got := before.open(t, s, http.MethodGet); got != "200 a visitor" {
		t.Errorf("a copy of the cookies: %s", got)
	}
}

// A session without a refresh token is in one cookie, which lasts as long as it does.
func TestCookiesWithoutARefreshToken(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	ann := browser{}
	ann.open(t, s, http.MethodPost)
	w := httptest.NewRecorder()
	_, _, err := s.Begin(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody), cart{Items: []string{"milk"}}, sessionstore.CreateParams{
		NoRefresh: true, Lifetimes: sessionstore.Lifetimes{AccessToken: 10 * time.Minute},
	})
	if err != nil {
		t.Fatal(err)
	}
	ann.keep(w)
	if len(ann) != 1 || !strings.Contains(strings.Join(w.Header()["Set-Cookie"], "\n"), "; Max-Age=600; ") {
		t.Errorf("%v", w.Header()["Set-Cookie"])
	}
	if got := ann.open(t, s, http.MethodGet); got != "200 milk" {
		t.Error(got)
	}
}

// A login ends the session that the browser had before.
func TestLogInEndsTheSessionBefore(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	ann := browser{}
	ann.open(t, s, http.MethodPost)
	planted := maps.Clone(ann)
	delete(ann, accessCookie) // so that it is refreshed in the same request
	ann.open(t, s, http.MethodPost)
	if got := ann.open(t, s, http.MethodGet); got != "200 tea" {
		t.Error(got)
	}
	if got := planted.open(t, s, http.MethodGet); got != "200 a visitor" {
		t.Errorf("the one before: %s", got)
	}
}

// An access token that has expired is refreshed on the way.
func TestCookiesAreRefreshed(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, briefly)
	ann := browser{}
	ann.open(t, s, http.MethodPost)
	before := maps.Clone(ann)
	for {
		_, _, err := s.store.Get(t.Context(), before[accessCookie])
		if errors.Is(err, tokens.ErrExpired) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := ann.open(t, s, http.MethodPut); got != "200 tea,milk" {
		t.Error(got)
	}
	if ann[accessCookie] == before[accessCookie] || ann[refreshCookie] == before[refreshCookie] {
		t.Error("the cookies are the old ones")
	}
}

// Cookies that were lost with their responses log nobody out, however late the browser returns;
// a copy of them that is used after the browser has newer ones ends the session.
func TestLostCookies(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	replica := func(store *sessionstore.Store) site {
		return site{store, sessionhttp.New[cart](store, sessionhttp.Config{Transport: sessionhttp.Cookies{}})}
	}
	parallel := []site{replica(k.store), replica(k.with(t, unchangedConfig))}
	s := replica(k.with(t, func(cfg *sessionstore.Config) { cfg.Grace = 1 })) // ns: it ends immediately
	ann := browser{refreshCookie: k.refresh}
	old := maps.Clone(ann)
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			if w := ann.send(t, parallel[i%2], http.MethodGet); w.Code != http.StatusOK || w.Header()["Set-Cookie"] == nil {
				t.Errorf("%d", w.Code)
			}
		})
	}
	group.Wait()
	const forget = `UPDATE "sessionStoreToken" SET "grace" = NULL` // which is then that of the store
	if _, err := k.pool.Exec(t.Context(), forget); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if w := ann.send(t, s, http.MethodPut); w.Code != http.StatusOK { // even where it is used to write
			t.Errorf("%d", w.Code)
		}
	}
	if got := ann.open(t, s, http.MethodGet); got != "200 tea,milk,milk,milk" || ann[accessCookie] == "" {
		t.Error(got)
	}
	if got := ann.open(t, s, http.MethodGet); got != "200 tea,milk,milk,milk" { // now it has brought them
		t.Error(got)
	}
	if w := old.send(t, s, http.MethodGet); w.Code != http.StatusUnauthorized {
		t.Errorf("a copy: %d", w.Code)
	}
	if w := ann.send(t, s, http.MethodGet); w.Code != http.StatusUnauthorized {
		t.Errorf("the session is still live: %d", w.Code)
	}
}

// An answer that takes long does not put older cookies over newer ones.
func TestLateCookies(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, briefly)
	ann := browser{}
	ann.open(t, s, http.MethodPost)
	delete(ann, accessCookie)
	for wait, want := range map[time.Duration]int{0: 2, 2 * time.Second: 0} {
		w := ann.send(t, s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(wait) // what this is about
			w.WriteHeader(http.StatusNoContent)
		})), http.MethodGet)
		if got := len(w.Header()["Set-Cookie"]); got > want || w.Code != http.StatusNoContent {
			t.Errorf("after %v: %d, %d cookies", wait, w.Code, got)
		}
	}
}

// An error that replaces a response keeps the cookies of the refresh, and no other.
func TestCookiesOfAReplacedResponse(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	ann := browser{}
	ann.open(t, s, http.MethodPost)
	delete(ann, accessCookie)
	w := ann.send(t, s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "own", Value: "7"})
		if err := s.From(r.Context()).Update(r.Context(), put(strings.Repeat("x", sessionstore.MaxDataBytes))); err != nil {
			t.Error(err)
		}
	})), http.MethodGet)
	ann.keep(w)
	if got := slices.Sorted(maps.Keys(ann)); w.Code != http.StatusInternalServerError || !cmp.Equal(got, []string{accessCookie, refreshCookie}) {
		t.Errorf("%d %v", w.Code, got)
	}
	if got := ann.open(t, s, http.MethodGet); got != "200 tea" {
		t.Error(got)
	}
}

// A session takes its cookies with it, ended by whichever method. Those of a login after that stay.
func TestCookiesEndWithTheSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	outer := site{s.store, sessionhttp.New[cart](s.store, sessionhttp.Config{Transport: sessionhttp.Cookies{Name: "outer"}, Optional: true})}
	for name, end := range map[string]struct {
		handler http.Handler
		want    string
	}{
		"behind the middleware": {outer.Handler(s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if err := s.From(r.Context()).End(r.Context()); err != nil {
				t.Error(err)
			}
		}))), "200 a visitor"},
		"beside it": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			session, err := s.Open(w, r)
			if err == nil {
				err = session.End(r.Context())
			}
			if err != nil {
				t.Error(err)
			}
		}), "200 a visitor"},
		"login after it": {s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err := s.From(r.Context()).End(r.Context())
			if err == nil {
				_, _, err = s.Begin(w, r, cart{Items: []string{"milk"}}, sessionstore.CreateParams{})
			}
			if err != nil {
				t.Error(err)
			}
		})), "200 milk"},
	} {
		ann := browser{}
		ann.open(t, s, http.MethodPost)
		ann.open(t, outer, http.MethodPost)
		ann.open(t, end.handler, http.MethodPost)
		if got, hasCookie := ann.open(t, s, http.MethodGet), ann[refreshCookie] != ""; got != end.want || hasCookie != (end.want == "200 milk") {
			t.Errorf("%s: %s, cookies %v", name, got, ann)
		}
		if got := ann.open(t, outer, http.MethodGet); got != "200 tea" {
			t.Errorf("%s: the other manager's session: %s", name, got)
		}
	}
}

// A name that no cookie can have is noticed at once, not at the first log-in.
func TestCookieNames(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{"": true, "shop": true, "a.b_c-d": true, "my shop": false, "a;b": false, "a=b": false, "käse": false, strings.Repeat("a", 121): true, strings.Repeat("a", 122): false} {
		func() {
			defer func() {
				if panics := recover() != nil; panics == good {
					t.Errorf("%q: panics: %v", name, panics)
				}
			}()
			sessionhttp.New[cart](memstore.MustNew(sessionstore.Config{}), sessionhttp.Config{Transport: sessionhttp.Cookies{Name: name}})
		}()
	}
}

// Cookies that are not valid are a visitor's, or 401: never a server error, and they end no session.
func TestBadCookies(t *testing.T) {
	t.Parallel()
	optional := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	strict := site{optional.store, sessionhttp.New[cart](optional.store, sessionhttp.Config{Transport: sessionhttp.Cookies{}})}
	other := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig) // has its own keys
	good, theirs := browser{}, browser{}
	good.open(t, optional, http.MethodPost)
	theirs.open(t, other, http.MethodPost)
	access, refresh := good[accessCookie], good[refreshCookie]
	for name, header := range map[string]string{
		"forged":          accessCookie + "=a.b.c; " + refreshCookie + "=a.b.c",
		"forged refresh":  refreshCookie + "=a.b.c",
		"cut":             accessCookie + "=" + access[:len(access)-9] + "; " + refreshCookie + "=" + refresh[:len(refresh)-9],
		"empty":           accessCookie + "=; " + refreshCookie + "=",
		"doubled":         accessCookie + "=" + access + "; " + accessCookie + "=" + access,
		"doubled refresh": accessCookie + "=" + access + "; " + refreshCookie + "=" + refresh + "; " + refreshCookie + "=x",
		"too large":       accessCookie + "=" + strings.Repeat("x", 2*tokens.MaxTokenBytes) + "; " + refreshCookie + "=" + strings.Repeat("y", 2*tokens.MaxTokenBytes),
		"swapped":         accessCookie + "=" + refresh + "; " + refreshCookie + "=" + access,
		"another's":       accessCookie + "=" + theirs[accessCookie] + "; " + refreshCookie + "=" + theirs[refreshCookie],
		"quoted":          accessCookie + `="` + access + `x"`,
		"no prefix":       "session=" + access,
		"parts":           accessCookie + "=3." + access + "; " + accessCookie + ".2=" + access + "; " + accessCookie + ".3=x",
		"doubled parts":   accessCookie + "=2." + access + "; " + accessCookie + ".2=x; " + accessCookie + ".2=y",
	} {
		for _, method := range []string{http.MethodPost, http.MethodDelete} { // they log in and out nevertheless
			r := httptest.NewRequestWithContext(t.Context(), method, "/", http.NoBody)
			r.Header.Set("Cookie", header)
			w := httptest.NewRecorder()
			if optional.ServeHTTP(w, r); w.Code != http.StatusOK || w.Header()["Set-Cookie"] == nil {
				t.Errorf("%s: %s is %d", name, method, w.Code)
			}
		}
		for handler, want := range map[http.Handler]string{optional: "200 a visitor", strict: "401 Unauthorized\n"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
			r.Header.Set("Cookie", header)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if got := fmt.Sprintf("%d %s", w.Code, w.Body); got != want || w.Header()["Set-Cookie"] != nil {
				t.Errorf("%s: %s %v", name, got, w.Header())
			}
		}
	}
	if got := good.open(t, strict, http.MethodGet); got != "200 tea" {
		t.Errorf("the good ones after that: %s", got)
	}
}

// A database that is away says nothing about cookies.
func TestCookiesInAnOutage(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	s := site{k.store, sessionhttp.New[cart](k.store, sessionhttp.Config{Transport: sessionhttp.Cookies{}, Optional: true})}
	for _, ann := range []browser{{accessCookie: k.access, refreshCookie: k.refresh}, {refreshCookie: k.refresh}} {
		k.pool.Close()
		if w := ann.send(t, s, http.MethodGet); w.Code != http.StatusServiceUnavailable || w.Header()["Set-Cookie"] != nil {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	}
}

// A page of another site can neither use a visitor's cookies nor log a visitor in.
func TestCrossSite(t *testing.T) {
	t.Parallel()
	trusting := http.NewCrossOriginProtection()
	if err := trusting.AddTrustedOrigin("https://partner.example.com"); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	trusts := site{s.store, sessionhttp.New[cart](s.store, sessionhttp.Config{Transport: sessionhttp.Cookies{Protection: trusting}, Optional: true})}
	ann := browser{}
	ann.open(t, s, http.MethodPost)
	for _, test := range []struct {
		handler http.Handler
		method  string
		site    string
		origin  string
		status  int
	}{
		{s, http.MethodPut, "cross-site", "https://evil.example", 403},
		{s, http.MethodPut, "same-site", "https://evil.example.com", 403},
		{s, http.MethodPut, "", "https://evil.example", 403},
		{s, http.MethodPut, "", "null", 403},
		{s, http.MethodPut, "same-origin", "https://shop.example.com", 200},
		{s, http.MethodPut, "none", "", 200},
		{s, http.MethodGet, "cross-site", "", 200},
		{s, http.MethodPut, "cross-site", "https://partner.example.com", 403},
		{trusts, http.MethodPut, "cross-site", "https://partner.example.com", 200},
		{trusts, http.MethodPut, "cross-site", "https://evil.example", 403},
	} {
		for _, cookies := range []browser{ann, {}} {
			r := httptest.NewRequestWithContext(t.Context(), test.method, "https://shop.example.com/", http.NoBody)
			if len(cookies) == 0 && test.method == http.MethodPut {
				r.Method = http.MethodPost // a visitor's log-in
			}
			r.Header.Set("Sec-Fetch-Site", test.site)
			r.Header.Set("Origin", test.origin)
			for name, value := range cookies {
				r.AddCookie(&http.Cookie{Name: name, Value: value})
			}
			w := httptest.NewRecorder()
			if test.handler.ServeHTTP(w, r); w.Code != test.status {
				t.Errorf("%s from %q, %q: %d", r.Method, test.site, test.origin, w.Code)
			}
		}
	}
}

// Managers with a name each have a session each in one browser.
func TestCookiesOfTwoManagers(t *testing.T) {
	t.Parallel()
	shop := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	staff := site{shop.store, sessionhttp.New[cart](shop.store, sessionhttp.Config{Transport: sessionhttp.Cookies{Name: "staff"}, Optional: true})}
	ann := browser{}
	ann.open(t, shop, http.MethodPost)
	if got := ann.open(t, staff, http.MethodGet); got != "200 a visitor" {
		t.Errorf("the other one's session: %s", got)
	}
	ann.open(t, staff, http.MethodPost)
	ann.open(t, staff, http.MethodPut)
	delete(ann, accessCookie)
	delete(ann, "__Host-staff")
	both := shop.Handler(staff.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		customer, employee := shop.From(r.Context()), staff.From(r.Context())
		_, _ = fmt.Fprint(w, customer.Read().Items, employee.Read().Items)
	})))
	if got := ann.open(t, both, http.MethodGet); got != "200 [tea] [tea milk]" || len(ann) != 4 {
		t.Errorf("%s %v", got, slices.Sorted(maps.Keys(ann)))
	}
}

// A token in a header of the program's own.
func TestNamedHeader(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{Transport: sessionhttp.Header("X-Session")})
	for want, values := range map[int][][]string{
		http.StatusOK:           {{k.access}},
		http.StatusUnauthorized: {nil, {""}, {"nonsense"}, {k.access, k.access}, {"Bearer " + k.access}},
	} {
		for _, values := range values {
			r := k.request(t) // with the token in Authorization as well, which is ignored
			r.Header["X-Session"] = values
			w := httptest.NewRecorder()
			k.manager.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%q: %d", values, w.Code)
			}
		}
	}
}
