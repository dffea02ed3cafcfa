package fromscs_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/gorilla/sessions"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/test/frameworks/fromscs"
	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

func after(t *testing.T) http.Handler {
	t.Helper()
	return fromscs.After(newStore(t))
}

func newStore(t *testing.T) *sessionstore.Store {
	t.Helper()
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	store, err := sessionstore.New(testdb.Pool(t), ring, sessionstore.Config{
		Tokens: tokens.Config{Issuer: "https://shop.example.com", Audience: "shop"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// browser is a browser with its own cookies.
type browser struct {
	t      *testing.T
	server *httptest.Server
	client *http.Client
}

func open(t *testing.T, s *httptest.Server) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, s, &http.Client{Transport: s.Client().Transport, Jar: jar}}
}

// visit returns the page that the browser ends up with.
func (b *browser) visit(method, path string, form url.Values) string {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := b.client.Do(r)
	if err != nil {
		b.t.Error(err)
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	page, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		b.t.Errorf("%s %s: %d, %v", method, path, response.StatusCode, err)
	}
	return strings.TrimSpace(string(page))
}

// A browser cannot distinguish the two programs.
func TestBothProgramsDoTheSame(t *testing.T) {
	t.Parallel()
	for name, program := range map[string]http.Handler{"before": fromscs.Before(), "after": after(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewTLSServer(program)
			defer s.Close()
			ann, bob := open(t, s), open(t, s)
			u, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			var guest []*http.Cookie
			for _, step := range []struct {
				who          *browser
				method, path string
				want         string
			}{
				{ann, "GET", "/", `"" has 0.`},
				{ann, "POST", "/items", `"" has 1. Added.`},
				{ann, "GET", "/", `"" has 1.`},
				{bob, "GET", "/", `"" has 0.`},
				{ann, "POST", "/login", `"ann" has 1. Welcome.`},
				{ann, "POST", "/items", `"ann" has 2. Added.`},
				{bob, "POST", "/login", `"ann" has 0. Welcome.`},
				{ann, "POST", "/logout", `"" has 0.`},
				{ann, "GET", "/", `"" has 0.`},
				{bob, "GET", "/", `"ann" has 0.`},
			} {
				if step.path == "/login" && step.who == ann {
					guest = ann.client.Jar.Cookies(u)
				}
				if got := step.who.visit(step.method, step.path, url.Values{"user": {"ann"}}); got != step.want {
					t.Errorf("%s %s: %q, not %q", step.method, step.path, got, step.want)
				}
			}
			// Cookies from before the login are worthless.
			thief := open(t, s)
			for _, cookie := range guest {
				cookie.Secure, cookie.Path = true, "/"
			}
			thief.client.Jar.SetCookies(u, guest)
			if got := thief.visit("GET", "/", nil); len(guest) == 0 || got != `"" has 0.` {
				t.Errorf("with %d cookies: %q", len(guest), got)
			}
		})
	}
}

// Only the program with this package does this: no click of many at once is lost.
func TestNoChangeIsLost(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(after(t))
	defer s.Close()
	ann := open(t, s)
	ann.visit("POST", "/items", nil)
	var all sync.WaitGroup
	for range 9 {
		all.Go(func() { ann.visit("POST", "/items", nil) })
	}
	all.Wait()
	if got := strings.TrimSuffix(ann.visit("GET", "/", nil), " Added."); got != `"" has 10.` {
		t.Errorf("%q", got)
	}
}

// Users who are logged in when the program is replaced stay logged in, with their data.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	old, store := scs.New(), newStore(t)
	old.Cookie.Secure = true
	after := fromscs.TakeOver(old, store, fromscs.After(store))
	before := old.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		old.Put(r.Context(), "user", "ann")
		old.Put(r.Context(), "items", 7)
	}))
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/before" {
			before.ServeHTTP(w, r)
			return
		}
		after.ServeHTTP(w, r)
	}))
	defer s.Close()
	ann, bob := open(t, s), open(t, s)
	ann.visit("GET", "/before", nil)
	for _, want := range []string{`"ann" has 7.`, `"ann" has 7.`} {
		if got := ann.visit("GET", "/", nil); got != want {
			t.Errorf("%q", got)
		}
	}
	if got := ann.visit("POST", "/items", nil); got != `"ann" has 8. Added.` {
		t.Errorf("%q", got)
	}
	if got := bob.visit("GET", "/", nil); got != `"" has 0.` {
		t.Errorf("%q", got)
	}
	// The scs session has ended: a user who has logged out is not taken over again.
	if got := ann.visit("POST", "/logout", nil); got != `"" has 0.` {
		t.Errorf("%q", got)
	}
}

// The code in docs/from-scs.md is the code that the tests run.
func TestDocsShowThePrograms(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../../docs/from-scs.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"scs.go", "latchkey.go", "takeover.go"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, code, found := strings.Cut(string(source), "\n)\n")
		if !found || !strings.Contains(string(docs), "```go"+code+"```") {
			t.Errorf("docs/from-scs.md does not show %s as it is", name)
		}
	}
}

// The tables have each exported name of the two libraries that a program uses.
func TestTablesAreComplete(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../../docs/from-scs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(docs), "\n## scs\n")
	ofSCS, rest, _ := strings.Cut(rest, "\n## gorilla/sessions\n")
	ofGorilla, ofHanna, found := strings.Cut(rest, "\n## adam-hanna/sessions\n")
	if !found {
		t.Fatal("docs/from-scs.md lacks the three headings, or their order")
	}
	for _, name := range hanna {
		if !strings.Contains(ofHanna, name) {
			t.Errorf("docs/from-scs.md does not have %s of adam-hanna/sessions", name)
		}
	}
	for _, table := range []struct {
		text   string
		prefix string // of the names, if it distinguishes them
		of     reflect.Type
	}{
		{ofSCS, "", reflect.TypeFor[*scs.SessionManager]()},
		{ofSCS, "", reflect.TypeFor[scs.SessionManager]()},
		{ofSCS, "Cookie.", reflect.TypeFor[scs.SessionCookie]()},
		{ofGorilla, "", reflect.TypeFor[sessions.Session]()},
		{ofGorilla, "Session.", reflect.TypeFor[*sessions.Session]()},
		{ofGorilla, "Options.", reflect.TypeFor[sessions.Options]()},
		{ofGorilla, "Store.", reflect.TypeFor[*sessions.CookieStore]()},
	} {
		for _, name := range names(table.of) {
			if !strings.Contains(table.text, "`"+table.prefix+name+"`") && !strings.Contains(table.text, "`"+name+"`") {
				t.Errorf("docs/from-scs.md does not have %s of %s", name, table.of)
			}
		}
	}
}

// hanna is what adam-hanna/sessions exports, which has no version that could be required: at 76e553f,
// its last commit.
var hanna = []string{
	"`sessions.New`", "`sessions.Options.ExpirationDuration`",
	"`IssueUserSession`", "`GetUserSession`", "`ExtendUserSession`", "`ClearUserSession`",
	"`auth.New`", "`auth.Options.Key`", "`SignAndBase64Encode`", "`VerifyAndDecode`",
	"`store.New`", "`ConnectionAddress`", "`MaxIdleConnections`", "`MaxActiveConnections`", "`IdleTimeoutDuration`",
	"`SaveUserSession`", "`FetchValidUserSession`", "`DeleteUserSession`",
	"`transport.New`", "`CookieName`", "`CookiePath`", "`HTTPOnly`", "`Secure`",
	"`SetSessionOnResponse`", "`FetchSessionIDFromRequest`", "`DeleteSessionFromResponse`",
	"`user.New`", "`ID`", "`UserID`", "`ExpiresAt`", "`JSON`",
}

// names are the exported methods and fields of a type.
func names(of reflect.Type) []string {
	var names []string
	for method := range of.Methods() {
		names = append(names, method.Name)
	}
	if of.Kind() == reflect.Struct {
		for field := range of.Fields() {
			if field.IsExported() && field.Type != reflect.TypeFor[scs.SessionCookie]() && field.Type != reflect.TypeFor[*sessions.Options]() {
				names = append(names, field.Name)
			}
		}
	}
	return names
}
