package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/console"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// A proxy may serve the page below a prefix, which it strips: each link, form and redirect
// stays below that prefix, and signing in, viewing and ending work.
func TestBelowAnotherPath(t *testing.T) {
	t.Parallel()
	k := setupWith(t, console.Service{Jobs: &given{}, Events: &undelivered{dead: []int64{9, 8}}})
	const below = "/ops/latchkey"
	internal := http.StripPrefix(below, k.server.Internal())
	proxy := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, below+"/console") {
			t.Errorf("%s %s is asked for", r.Method, r.URL)
		}
		internal.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	session, _ := k.create(t, sessionstore.CreateParams{Subject: "a/b?c&d", Client: sessionstore.Client{IP: "203.0.113.7", Label: "laptop"}})
	for range 30 {
		k.create(t, sessionstore.CreateParams{Subject: "a/b?c&d", Client: sessionstore.Client{IP: "203.0.113.7"}})
	}

	b := k.browser(t)
	b.site = proxy.URL + below
	b.get("/console")
	b.want(200, "Service key")
	b.site = proxy.URL
	if actions := b.leads("action"); len(actions) != 1 || actions[0] != below+"/console/sign-in" {
		t.Fatalf("the form is sent to %q", actions)
	}
	b.post(below+"/console/sign-in", url.Values{"key": {graceKey}, "next": {"/console/now"}})
	b.want(200, "Sign out", "Jobs given up")

	toSee, seen := []string{below + "/console/", below + "/console/?q=203.0.113.7", below + "/console/sessions/" + session.ID.String(), below + "/console/nothing", below + "/console/no/thing"}, map[string]bool{}
	for len(toSee) > 0 {
		path := toSee[0]
		toSee = toSee[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		b.get(path)
		if b.status != http.StatusOK && !strings.Contains(path, "/no") && !strings.Contains(path, "/sessions/") { // those of dead deliveries are made up
			t.Errorf("%s: %d", path, b.status)
		}
		if strings.Contains(path, "/static/") {
			continue
		}
		for _, attribute := range []string{"href", "src", "action"} {
			for _, to := range b.leads(attribute) {
				if !strings.HasPrefix(to, below+"/console/") {
					t.Errorf("%s leads to %s", path, to)
				} else if attribute != "action" {
					toSee = append(toSee, to)
				}
			}
		}
	}
	for _, want := range []string{"/console/thefts", "/console/static/style.css?v=", "/console/subject?id=a%2Fb%3Fc%26d&cursor=", "/console/?cursor="} {
		found := false
		for path := range seen {
			found = found || strings.HasPrefix(path, below+want)
		}
		if !found {
			t.Errorf("no page leads to %s", want)
		}
	}

	b.get(below + "/console/sessions/" + session.ID.String())
	b.post(below+"/console/sessions/"+session.ID.String()+"/end", url.Values{"csrf_token": formToken.FindStringSubmatch(b.page)[1:], "next": {"/console/sessions/" + session.ID.String()}})
	b.want(200, "1 session has ended", "Ended by the operator")
	b.get(below + "/console/subject?id=a%2Fb%3Fc%26d")
	b.post(below+"/console/subject/end?id=a%2Fb%3Fc%26d", url.Values{"csrf_token": formToken.FindStringSubmatch(b.page)[1:], "next": {"/console/subject?id=a%2Fb%3Fc%26d"}})
	b.want(200, "30 sessions have ended")
	b.post(below+"/console/sign-out", url.Values{"csrf_token": formToken.FindStringSubmatch(b.page)[1:]})
	b.want(200, "Service key")

	link, err := console.MakeLink(t.Context(), k.pool, "ada@ops-1")
	if err != nil {
		t.Fatal(err)
	}
	b.get(below + link)
	if actions := b.leads("action"); len(actions) != 1 || actions[0] != below+link {
		t.Fatalf("the form is sent to %q", actions)
	}
	b.post(below+link, nil)
	b.want(200, "ada@ops-1", "Sign out")
}

// Characters that reverse the direction of text are made visible, and change nothing:
// neither the address next to a label nor the subject of a link or a form.
func TestTextIsNotTurnedAround(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const subject = "ada\u202egro.live\u202c"
	session, _ := k.create(t, sessionstore.CreateParams{
		Subject: subject, Claims: []byte(`{"name":"\u2066x"}`), Client: sessionstore.Client{Label: "phone \u202e7.311.0.302 \x1b[1A\u009b", UserAgent: "\u2067agent", IP: "203.0.113.7"},
	})
	b := k.signedIn(t, dataKey)
	for _, path := range []string{"/console/sessions/" + session.ID.String(), "/console/?q=ada", "/console/?q=203.0.113.7", "/console/subject?" + url.Values{"id": {subject}}.Encode()} {
		b.get(path)
		b.want(200, "ada\ufffdgro.live\ufffd")
		if i := strings.IndexAny(b.page, "\x1b\u009b\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"); i >= 0 {
			t.Errorf("%s turns text around: %q", path, b.page[i:min(len(b.page), i+40)])
		}
	}
	b.submit("/console/subject/end?"+url.Values{"id": {subject}}.Encode(), nil)
	b.want(200, "1 session has ended")
	if k.ending(t, session.ID).At.IsZero() {
		t.Error("another subject's sessions were meant")
	}
}
