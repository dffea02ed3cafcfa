package console_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/console"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Keys with the right sign in, in each form in which settings have them, and no others.
func TestSignIn(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for _, key := range []string{graceKey, "grace:" + graceKey, " grace:" + graceKey + ":operator\n"} {
		b := k.browser(t)
		b.get("/console/thefts")
		b.want(200, "Service key")
		b.post("/console/sign-in", url.Values{"key": {key}, "next": {"/console/thefts"}})
		b.want(200, "Thefts", "grace")
		if b.path != "/console/thefts" {
			t.Errorf("%q leads to %s", key, b.path)
		}
	}
	for key, why := range map[string]string{
		"": "not a service key", "wrong": "not a service key", "dora:" + graceKey: "not a service key", shopKey: "lacks the right “operator”",
	} {
		b := k.browser(t)
		b.post("/console/sign-in", url.Values{"key": {key}})
		b.want(403, why)
		b.get("/console/")
		b.want(200, "Service key")
	}
	if log := k.log.String(); strings.Contains(log, graceKey) || strings.Contains(log, shopKey) || !strings.Contains(log, "sign-in was refused") {
		t.Errorf("the log: %s", log)
	}
	event := k.recorded(t, func(e map[string]any) bool { return e["event"] == "session.created" })
	if diff := cmp.Diff(map[string]any{"type": "operator", "id": "grace"}, event["actor"]); diff != "" || event["subject"] != "operator:grace" || event["client_id"] != console.ClientID {
		t.Errorf("%v", event)
	}
}

// Operators are signed out by their own sign-out, by the end of their session, and with their
// key.
func TestSignedOut(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for name, out := range map[string]func(b *browser){
		"by themselves": func(b *browser) { b.submit("/console/sign-out", nil) },
		"with all sessions": func(*browser) {
			if _, err := k.InvalidateSubject(t.Context(), "operator:grace", [16]byte{}); err != nil {
				t.Fatal(err)
			}
		},
		"by another secret": func(*browser) {
			k.setKeys(t, httpapi.ServiceKey{Name: "grace", Secret: "another-" + graceKey, Rights: []httpapi.Right{httpapi.RightOperator}})
		},
		"without the right": func(*browser) { k.setKeys(t, httpapi.ServiceKey{Name: "grace", Secret: graceKey}) },
		"without the key":   func(*browser) { k.setKeys(t, httpapi.ServiceKey{Name: "shop", Secret: shopKey}) },
	} {
		k.setKeys(t, serviceKeys()...)
		b := k.signedIn(t, graceKey)
		out(b)
		b.get("/console/")
		if b.status != 200 || !strings.Contains(b.page, "Service key") || strings.Contains(b.page, "Sign out") {
			t.Errorf("%s: %d %s", name, b.status, b.page)
		}
	}
}

func (k *kit) setKeys(t *testing.T, keys ...httpapi.ServiceKey) {
	t.Helper()
	if err := k.server.SetServiceKeys(keys); err != nil {
		t.Fatal(err)
	}
}

// A link signs in once, and not after its time; to look at it does not use it.
func TestLink(t *testing.T) {
	t.Parallel()
	k := setup(t)
	fresh := func() string {
		path, err := console.MakeLink(t.Context(), k.pool, "ada@ops-1")
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	path, b := fresh(), k.browser(t)
	b.get(path)
	b.get(path)
	b.want(200, "signs you in, once")
	b.post(path, nil)
	b.want(200, "ada@ops-1", "Sign out")

	b.get(path) // an operator who is already signed in may use another one
	b.submit(path, nil)
	b.want(403, "used before, or is too old")
	b.get(fresh())
	b.submit(b.path, nil)
	b.want(200, "ada@ops-1", "Sign out")

	again := k.browser(t)
	again.post(path, nil)
	again.want(403, "used before, or is too old")
	late := fresh()
	k.exec(t, `UPDATE "sessionStoreConsoleLink" SET "expiresAt" = now()`)
	again.post(late, nil)
	again.want(403, "used before, or is too old")
	again.get("/console/")
	again.want(200, "Service key")
	if log := k.log.String(); strings.Contains(log, path) || strings.Contains(log, late) {
		t.Errorf("the log has a link: %s", log)
	}
	fresh()
	k.exec(t, `UPDATE "sessionStoreConsoleLink" SET "expiresAt" = now()`)
	fresh()
	var left int
	if err := k.pool.QueryRow(t.Context(), `SELECT count(*) FROM "sessionStoreConsoleLink"`).Scan(&left); err != nil || left != 1 {
		t.Errorf("%d links are left, %v", left, err)
	}
}

// Of many who use one link at the same time one is signed in.
func TestLinkUsedAtOnce(t *testing.T) {
	t.Parallel()
	k := setup(t)
	path, err := console.MakeLink(t.Context(), k.pool, "ada@ops-1")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var signedIn, refused atomic.Int32
	for range 8 { // as many as an address may try at once
		b := k.browser(t)
		all.Go(func() {
			b.post(path, nil)
			switch b.status {
			case http.StatusOK:
				signedIn.Add(1)
			case http.StatusForbidden:
				refused.Add(1)
			default:
				t.Errorf("%d: %s", b.status, b.page)
			}
		})
	}
	all.Wait()
	if signedIn.Load() != 1 || refused.Load() != 7 {
		t.Errorf("%d are signed in, %d refused", signedIn.Load(), refused.Load())
	}
}

// An address may try so often; another one is not bothered.
func TestAttempts(t *testing.T) {
	t.Parallel()
	k := setup(t)
	b := k.browser(t)
	statuses := map[int]int{}
	for range 30 {
		b.post("/console/sign-in", url.Values{"key": {"wrong"}})
		statuses[b.status]++
	}
	if statuses[403] < 10 || statuses[403] > 15 || statuses[429] != 30-statuses[403] {
		t.Errorf("%v", statuses)
	}
	if b.status == 429 && b.header.Get("Retry-After") == "" {
		t.Error("without Retry-After")
	}
}

// Clients with unknown addresses do not count as one address: none can lock out the operators.
func TestAttemptsFromNowhere(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for range 30 {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/console/sign-in", strings.NewReader("key=wrong"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = "@" // as of a Unix socket
		w := httptest.NewRecorder()
		if k.server.Internal().ServeHTTP(w, r); w.Code != http.StatusForbidden {
			t.Fatal(w.Code)
		}
	}
}

// A browser that is closed before the answer is not a failure of the service.
func TestBrowserIsClosed(t *testing.T) {
	t.Parallel()
	k := setup(t)
	b := k.signedIn(t, graceKey)
	site, err := url.Parse(k.site.URL)
	if err != nil {
		t.Fatal(err)
	}
	closed, closeIt := context.WithCancel(t.Context())
	closeIt()
	for path, method := range map[string]string{"/console/": http.MethodGet, "/console/thefts": http.MethodGet, "/console/link/x": http.MethodPost} {
		r := httptest.NewRequestWithContext(closed, method, path, http.NoBody)
		for _, cookie := range b.client.Jar.Cookies(site) {
			r.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		if k.server.Internal().ServeHTTP(w, r); w.Code != 499 || w.Header().Get("Retry-After") != "" {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if log := k.log.String(); strings.Contains(log, `"level":"ERROR"`) {
		t.Error(log)
	}
}

// A user's tokens are not valid for the page, nor an operator's elsewhere.
func TestTokensAreApart(t *testing.T) {
	t.Parallel()
	k := setup(t)
	_, pair := k.create(t, sessionstore.CreateParams{Subject: "operator:grace", Data: []byte(`{"key":"0000000000000000"}`)})
	b := k.browser(t)
	b.send(http.MethodGet, "/console/", nil, "Cookie",
		"__Host-"+console.ClientID+"="+string(pair.AccessToken)+"; __Host-"+console.ClientID+"-refresh="+string(pair.RefreshToken))
	b.want(200, "Service key")
	b.wantNot("Sign out")

	operator := k.signedIn(t, graceKey)
	site, err := url.Parse(k.site.URL)
	if err != nil {
		t.Fatal(err)
	}
	cookies := operator.client.Jar.Cookies(site)
	if len(cookies) != 2 {
		t.Fatalf("%d cookies", len(cookies))
	}
	for _, cookie := range cookies {
		if _, _, err := k.Get(t.Context(), cookie.Value); err == nil {
			t.Errorf("%s is an access token of a user", cookie.Name)
		}
		if _, err := k.RefreshTokens(t.Context(), cookie.Value, sessionstore.Client{}); err == nil {
			t.Errorf("%s is a refresh token of a user", cookie.Name)
		}
	}
}

// The page goes nowhere else, whatever it is asked to.
func TestNextIsOurs(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for _, next := range []string{"https://evil.example", "//evil.example", "/\\evil.example", "/console", "/console/\\", "/console/\r\nX: y", "/v1/sessions", "/console/%", ""} {
		b := k.browser(t)
		b.post("/console/sign-in", url.Values{"key": {graceKey}, "next": {next}})
		if !strings.HasPrefix(b.path, "/console/") {
			t.Errorf("%q leads to %s", next, b.path)
		}
	}
}

// Each page forbids what it is not made of, and no cache keeps it.
func TestHeaders(t *testing.T) {
	t.Parallel()
	k := setup(t)
	b := k.signedIn(t, graceKey)
	for _, path := range []string{"/console/", "/console/thefts", "/console/nothing", "/console/sessions/x"} {
		b.get(path)
		policy := b.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: %s", path, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || b.header.Get("Cache-Control") != "no-store" || b.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, b.header)
		}
		b.wantNot("style=", "<script>", "http://", "https://", "onclick")
	}
	b.get("/console/nothing")
	b.want(404, "Not found")
	b.get("/console/static/style.css")
	b.want(200, "color-scheme")
}

// An outage is one line in the log for each request, even where it is the operator's own session
// that cannot be loaded.
func TestOutageIsOneLine(t *testing.T) {
	t.Parallel()
	k := setup(t)
	b := k.signedIn(t, graceKey)
	before := k.log.String()
	k.pool.Close()
	b.get("/console/")
	b.want(503, "The database does not answer")
	if logged := strings.TrimPrefix(k.log.String(), before); strings.Count(logged, `"level":"ERROR"`) != 1 {
		t.Errorf("logged:\n%s", logged)
	}
}
