package main_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// documentedGrants are the statements of docs/operations.md, for roles with other names: all tests share a server.
func documentedGrants(t *testing.T, database string) (statements, migrate, serve string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sql\n(CREATE ROLE latchkey_migrate.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/operations.md has no grants")
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	statements = strings.NewReplacer(
		"DATABASE latchkey", `DATABASE "`+name+`"`, "latchkey_migrate", `"migrate_`+name+`"`, "latchkey_serve", `"serve_`+name+`"`,
		"'…'", "'of-both-roles'",
	).Replace(string(block[1]))
	as := func(role string) string {
		return changeURL(t, database, func(u *url.URL) { u.User = url.UserPassword(role+name, "of-both-roles") })
	}
	return statements, as("migrate_"), as("serve_")
}

// With the rights that are documented, and no others, one role migrates and another does all that the service does.
func TestDocumentedGrants(t *testing.T) {
	t.Parallel()
	database := emptyDatabase(t)
	statements, migrate, serve := documentedGrants(t, database)
	execute(t, database, statements)
	mustLine(t, env{"LATCHKEY_DATABASE_URL": migrate}, "migrate")

	settings := configure(t, serve).With(env{
		"LATCHKEY_SIGNING_KEYS_FILE": "", "LATCHKEY_KEY_ENCRYPTION_KEY": sealingKey("a"), "LATCHKEY_SESSIONS_PER_SUBJECT": "2", "LATCHKEY_REFRESH_GRACE": "1s",
	})
	s := start(t, t.TempDir(), settings)
	pair := s.CreateSession(testKey, `{"subject":"ada","data":{"a":1}}`)
	next := refreshed(t, s, pair.RefreshToken)
	s.Await("theft", func() bool { // the old token is one that was replaced, once the new one was used
		s.Current(next.AccessToken)
		code, _ := s.Refresh(pair.RefreshToken)
		return code == http.StatusBadRequest
	})
	s.Await("report of the theft", func() bool { return strings.Contains(s.Stderr.String(), "a refresh token was stolen") })
	for range 3 { // one more than there may be
		s.CreateSession(testKey, `{"subject":"ada","data":{}}`)
	}
	for _, request := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/v1/sessions?subject=ada", http.StatusOK},
		{http.MethodGet, "/v1/sessions?ended=true", http.StatusOK},
		{http.MethodDelete, "/v1/sessions?subject=ada", http.StatusOK},
		{http.MethodGet, "/v1/revocations", http.StatusOK},
	} {
		if code, answer := s.Send(request.method, s.Internal+request.path, testKey, nil); code != request.want {
			t.Errorf("%s %s: %d %s", request.method, request.path, code, answer)
		}
	}
	for _, args := range [][]string{{"keys", "rotate"}, {"keys", "list"}, {"cleanup"}, {"sessions", "list", "--ended"}, {"sessions", "revoke", "--all", "--yes"}, {"migrate", "status"}} {
		mustLine(t, env{"LATCHKEY_DATABASE_URL": serve, "LATCHKEY_KEY_ENCRYPTION_KEY": settings["LATCHKEY_KEY_ENCRYPTION_KEY"]}, args...)
	}
	if said := s.Stderr.String(); strings.Contains(said, "permission denied") {
		t.Errorf("said:\n%s", said)
	}
	r := line(env{"LATCHKEY_DATABASE_URL": serve}, "migrate", "down", "--yes")
	if r.code != 1 || !strings.Contains(r.stderr, "docs/operations.md has the GRANTs that each command needs") {
		t.Errorf("the role of the service takes a migration back: exit code %d: %s", r.code, r.stderr)
	}
	mustLine(t, env{"LATCHKEY_DATABASE_URL": migrate}, "migrate", "status")
}

// With a role that has rights on the tables of an earlier version only, the service reports at startup which rights a
// later version's table needs, and not by failing requests.
func TestGrantsOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	database := emptyDatabase(t)
	statements, migrate, serve := documentedGrants(t, database)
	execute(t, database, statements)
	mustLine(t, env{"LATCHKEY_DATABASE_URL": migrate}, "migrate")
	u, err := url.Parse(serve)
	if err != nil {
		t.Fatal(err)
	}
	role := `"` + u.User.Username() + `"`
	execute(t, database, `REVOKE ALL ON TABLE "sessionStoreClock" FROM `+role)
	settings := configure(t, serve).With(env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"})
	grant := `GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public."sessionStoreClock" TO ` + u.User.Username()
	failed := launch(t, t.TempDir(), settings, "serve")
	if code := failed.Wait(); code == 0 || !strings.Contains(strings.ReplaceAll(failed.Stderr.String(), `\"`, `"`), grant) {
		t.Fatalf("code %d, %q; want %q", code, failed.Stderr, grant)
	}
	execute(t, database, grant)
	start(t, t.TempDir(), settings)
}

func refreshed(t *testing.T, s *service, token string) testservice.Pair {
	t.Helper()
	code, answer := s.Refresh(token)
	if code != http.StatusOK {
		t.Fatalf("refresh: %d %s", code, answer)
	}
	return testservice.ParsePair(t, answer)
}
