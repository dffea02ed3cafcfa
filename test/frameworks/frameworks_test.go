package frameworks_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
)

// patienceOfSlow is how long the frameworks' own time-outs wait.
const patienceOfSlow = 100 * time.Millisecond

// begin starts the program that has the app's handlers, with the framework's recoverer inside the
// middleware, or outside.
type start func(a *app, inside bool) (url string, stop func())

// overNetHTTP starts a program whose framework makes a handler of net/http's.
func overNetHTTP(program func(a *app, inside bool) http.Handler) start {
	return func(a *app, inside bool) (string, func()) {
		s := httptest.NewServer(program(a, inside))
		return s.URL, s.Close
	}
}

type answer struct {
	status int
	body   string
	header http.Header
}

// ask sends the app's access token.
func ask(t *testing.T, a *app, url, method, path, body string) answer {
	t.Helper()
	return askWith(t, "Bearer "+string(a.pair.AccessToken), url, method, path, body)
}

func askWith(t *testing.T, authorization, url, method, path, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url+"/account/ann"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return send(t, r)
}

func send(t *testing.T, r *http.Request) answer {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return answer{response.StatusCode, strings.TrimSpace(string(text)), response.Header}
}

// run holds the middleware to its promises in one framework.
func run(t *testing.T, begin start) {
	t.Helper()
	for order, inside := range map[string]bool{"recoverer outside": false, "recoverer inside": true} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			for name, test := range map[string]func(*testing.T, *app, start, bool){
				"read and update": readAndUpdate, "conflict": conflict, "failures": failures,
				"no session": noSession, "in parallel": inParallel, "the client leaves": clientLeaves,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, setup(t, sessionhttp.Config{}), begin, inside)
				})
			}
		})
	}
}

func readAndUpdate(t *testing.T, a *app, begin start, inside bool) {
	t.Helper()
	url, stop := begin(a, inside)
	defer stop()
	for _, step := range []struct {
		method, path, body string
		status             int
		want, stored       string
	}{
		{"GET", "/count", "", 200, `{"count":0}`, `{}`},
		{"POST", "/add", `{"n":2}`, 200, `{"count":2}`, `{"count": 2}`},
		{"POST", "/add", `{"n":3}`, 200, `{"count":5}`, `{"count": 5}`},
		{"POST", "/add", `{"n":`, 400, "", `{"count": 5}`}, // the binding's answer
		{"GET", "/count", "", 200, `{"count":5}`, `{"count": 5}`},
		{"GET", "/nowhere", "", 404, "", `{"count": 5}`},
	} {
		got := ask(t, a, url, step.method, step.path, step.body)
		if got.status != step.status || step.want != "" && got.body != step.want {
			t.Errorf("%s %s: %+v", step.method, step.path, got)
		}
		if step.status == 200 && (got.header.Get("X-Handler") == "" || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json")) {
			t.Errorf("%s %s lost headers: %v", step.method, step.path, got.header)
		}
		a.want(step.stored)
	}
}

// The client learns that its change was not stored, and gets nothing of the handler's success.
func conflict(t *testing.T, a *app, begin start, inside bool) {
	t.Helper()
	url, stop := begin(a, inside)
	defer stop()
	got := ask(t, a, url, "POST", "/conflict", "")
	if got.status != http.StatusConflict || got.body != "Conflict" || got.header.Get("X-Handler") != "" {
		t.Errorf("%+v", got)
	}
	a.want(`{"count": 50}`)
}

// Nothing of a request that fails is stored: with the framework's own kind of error, after a panic, and when
// the framework's own time-out has answered.
func failures(t *testing.T, a *app, begin start, inside bool) {
	t.Helper()
	url, stop := begin(a, inside)
	for path, statuses := range map[string][]int{"/fail": {500}, "/panic": {500}, "/slow": {408, 503, 504}} {
		got := ask(t, a, url, "POST", path, "")
		isExpected := false
		for _, status := range statuses {
			isExpected = isExpected || got.status == status
		}
		if !isExpected || got.header.Get("X-Handler") != "" {
			t.Errorf("%s: %+v", path, got)
		}
	}
	close(a.gone)
	stop()
	a.want(`{}`)
}

func noSession(t *testing.T, a *app, begin start, inside bool) {
	t.Helper()
	url, stop := begin(a, inside)
	defer stop()
	for authorization, challenges := range map[string]int{"": 2, "Bearer x": 1} {
		for _, path := range []string{"/add", "/panic"} {
			got := askWith(t, authorization, url, "POST", path, `{"n":1}`)
			if got.status != http.StatusUnauthorized || got.body != "Unauthorized" || len(got.header.Values("WWW-Authenticate")) != challenges {
				t.Errorf("%q %s: %+v", authorization, path, got)
			}
		}
	}
	if err := a.store.Invalidate(t.Context(), a.id); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, a, url, "GET", "/count", ""); got.status != http.StatusUnauthorized {
		t.Errorf("%+v", got)
	}
}

// Each change is stored once, whatever the others do.
func inParallel(t *testing.T, a *app, begin start, inside bool) {
	t.Helper()
	url, stop := begin(a, inside)
	defer stop()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got := ask(t, a, url, "POST", "/add", `{"n":1}`); got.status != http.StatusOK {
				t.Errorf("%+v", got)
			}
		})
	}
	all.Wait()
	a.want(`{"count": 8}`)
}

// A client that disconnects loses no change.
func clientLeaves(t *testing.T, a *app, begin start, inside bool) {
	t.Helper()
	url, stop := begin(a, inside)
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-a.arrived
		leave()
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/account/ann/leave", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+string(a.pair.AccessToken))
	if response, err := http.DefaultClient.Do(r); err == nil {
		_ = response.Body.Close()
		t.Errorf("%d", response.StatusCode)
	}
	close(a.gone)
	stop()
	a.want(`{"count": 1}`)
}

// net/http's own time-out, around the whole program: the handler outlives the answer, and stores nothing.
func TestTimeoutHandler(t *testing.T) {
	t.Parallel()
	for name, program := range map[string]func(*app, bool) http.Handler{"chi": withChi, "echo": withEcho, "gin": withGin} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := setup(t, sessionhttp.Config{})
			handler, done := program(a, false), make(chan struct{})
			s := httptest.NewServer(http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(done)
				handler.ServeHTTP(w, r)
			}), patienceOfSlow, "too slow"))
			defer s.Close()
			go func() { <-a.arrived }()
			if got := ask(t, a, s.URL, "POST", "/leave", ""); got.status != http.StatusServiceUnavailable || got.body != "too slow" {
				t.Errorf("%+v", got)
			}
			close(a.gone)
			<-done
			a.want(`{}`)
		})
	}
}

// Cookies that the middleware sets arrive alongside the handler's headers: after a refresh on the way as
// well.
func TestCookies(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]start{
		"chi": overNetHTTP(withChi), "echo": overNetHTTP(withEcho), "gin": overNetHTTP(withGin), "fiber": serveFiber,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := setup(t, sessionhttp.Config{Transport: sessionhttp.Cookies{}})
			url, stop := begin(a, false)
			defer stop()
			for _, request := range []struct {
				path   string
				status int
				stored string
			}{{"/add", 200, `{"count": 1}`}, {"/fail", 500, `{"count": 1}`}, {"/conflict", 409, `{"count": 50}`}} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/account/ann"+request.path, strings.NewReader(`{"n":1}`))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/json")
				r.AddCookie(&http.Cookie{Name: "__Host-session-refresh", Value: string(a.pair.RefreshToken), Secure: true, HttpOnly: true})
				got := send(t, r)
				if set := got.header.Values("Set-Cookie"); got.status != request.status || len(set) != 2 || got.header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %d, %v", request.path, got.status, got.header)
				}
				a.want(request.stored)
			}
		})
	}
}
