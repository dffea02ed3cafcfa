package main_test

import (
	"net/http"
	"net/url"
	"os/user"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// signIn sends what signs an operator in, and returns the cookies for further requests.
func signIn(t *testing.T, address string, form url.Values) (cookies string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusSeeOther || len(answer.Cookies()) != 2 {
		t.Fatalf("%d %v", answer.StatusCode, answer.Header)
	}
	pairs := make([]string, 0, 2)
	for _, c := range answer.Cookies() {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

// A link that the command prints signs its user in to the page of the service that runs.
func TestConsole(t *testing.T) {
	t.Parallel()
	settings := configure(t, testdb.URL(t))
	s := start(t, t.TempDir(), settings)
	if status, page := s.Send(http.MethodGet, s.Internal+"/console/", "", nil); status != http.StatusOK || !strings.Contains(page, "api console") {
		t.Fatalf("a stranger sees %d %s", status, page)
	}
	link := strings.TrimSpace(mustLine(t, settings.With(testservice.Env{"LATCHKEY_INTERNAL_ADDR": strings.TrimPrefix(s.Internal, "http://")}), "console"))
	if !strings.HasPrefix(link, "http://localhost:") {
		t.Errorf("the link is %s", link)
	}
	_, path, _ := strings.Cut(link, "/console/")
	cookies := signIn(t, s.Internal+"/console/"+path, nil)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if status, page := s.Send(http.MethodGet, s.Internal+"/console/", "", nil, "Cookie", cookies); status != http.StatusOK || !strings.Contains(page, me.Username+"@") {
		t.Errorf("signed in: %d %s", status, page)
	}
	// The page of any replica lists all of them, until one stops.
	other := start(t, t.TempDir(), settings)
	replicas := func(want int) func() bool {
		return func() bool {
			status, page := s.Send(http.MethodGet, s.Internal+"/console/now", "", nil, "Cookie", cookies)
			_, list, _ := strings.Cut(page, "<h2 id=\"replicas\">")
			list, _, _ = strings.Cut(list, "</section>")
			return status == http.StatusOK && strings.Count(list, "ahead of the database’s") == want && !strings.Contains(list, "lost the database")
		}
	}
	s.Await("both replicas are listed with their clocks", replicas(2))
	other.Stop()
	s.Await("the one that stopped is not listed", replicas(1))
	elsewhere := mustLine(t, settings, "console", "--url", "https://sessions.example.com/")
	if !strings.HasPrefix(elsewhere, "https://sessions.example.com/console/link/") {
		t.Errorf("with --url: %s", elsewhere)
	}
	_, secret, _ := strings.Cut(strings.Split(cookies, "; ")[0], "=")
	if log := s.Stderr.String(); strings.Contains(log, path) || strings.Contains(log, secret) {
		t.Errorf("the log has a secret: %s", log)
	}
}
