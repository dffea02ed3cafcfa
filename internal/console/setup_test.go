package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/console"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

const (
	graceKey = "grace-may-see-and-end-sessions-0001"
	dataKey  = "dora-may-read-their-data-too-000001"
	shopKey  = "the-shop-is-a-backend-of-ours-00001"
)

func serviceKeys() []httpapi.ServiceKey {
	return []httpapi.ServiceKey{
		{Name: "grace", Secret: graceKey, Rights: []httpapi.Right{httpapi.RightOperator}},
		{Name: "dora", Secret: dataKey, Rights: []httpapi.Right{httpapi.RightOperator, httpapi.RightReadData}},
		{Name: "shop", Secret: shopKey},
	}
}

// kit is the page on its own database, served over TLS, as the cookies require.
type kit struct {
	*sessionstore.Store

	server *httpapi.Server
	page   *console.Console
	pool   *pgxpool.Pool
	site   *httptest.Server
	log    *buffer
	trail  *buffer
}

// follow runs what counts, and ends it once it has.
func (k *kit) follow(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.page.Run(ctx) }()
	stop() // it counts once in any case
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func setup(t *testing.T) *kit { t.Helper(); return setupWith(t, console.Service{}) }

func setupWith(t *testing.T, service console.Service) *kit {
	t.Helper()
	return setupOn(t, testdb.Pool(t), service)
}

func setupOn(t *testing.T, pool *pgxpool.Pool, service console.Service) *kit {
	t.Helper()
	k := &kit{pool: pool, log: &buffer{}, trail: &buffer{}}
	log := slog.New(slog.NewJSONHandler(k.log, nil))
	trail, err := audit.New(audit.Config{Output: k.trail, Origin: httpapi.Origin, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	recording, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	recorded := make(chan error, 1)
	go func() { recorded <- trail.Run(recording) }()
	t.Cleanup(func() {
		stop()
		if err := <-recorded; err != nil {
			t.Error(err)
		}
	})
	cfg := sessionstore.Config{
		Tokens: tokens.Config{Issuer: "https://auth.example.com", Audience: "shop"}, Observers: []sessionstore.Observer{trail.Sessions()},
	}
	ring := testkeys.Ring(t)
	if k.Store, err = sessionstore.New(k.pool, ring, cfg); err != nil {
		t.Fatal(err)
	}
	own, err := sessionstore.New(k.pool, ring, console.StoreConfig(cfg))
	if err != nil {
		t.Fatal(err)
	}
	page, err := console.New(console.Config{Sessions: k.Store, Own: own, Pool: k.pool, Service: service, Audit: trail.Record, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	k.page = page
	k.server, err = httpapi.New(k.Store, ring, httpapi.Config{
		Issuer: "https://auth.example.com", ServiceKeys: serviceKeys(), Logger: log,
		Console: func(s *httpapi.Server) http.Handler { return page.Handler(s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	k.site = httptest.NewTLSServer(k.server.Internal())
	t.Cleanup(k.site.Close)
	return k
}

// browser has cookies, and follows redirects.
type browser struct {
	t      *testing.T
	site   string
	client *http.Client
	// page is the last answer.
	page   string
	path   string
	status int
	header http.Header
}

func (k *kit) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := *k.site.Client()
	client.Jar = jar
	return &browser{t: t, site: k.site.URL, client: &client}
}

// signedIn is the browser of an operator who has the key.
func (k *kit) signedIn(t *testing.T, key string) *browser {
	t.Helper()
	b := k.browser(t)
	b.post("/console/sign-in", url.Values{"key": {key}})
	b.want(200, "Sign out")
	return b
}

func (b *browser) get(path string) { b.t.Helper(); b.send(http.MethodGet, path, nil) }

func (b *browser) post(path string, form url.Values) {
	b.t.Helper()
	b.send(http.MethodPost, path, form)
}

func (b *browser) send(method, path string, form url.Values, headers ...string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.site+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.page, b.path, b.status, b.header = string(content), answer.Request.URL.RequestURI(), answer.StatusCode, answer.Header
}

// want fails the test unless the last page has the status and the texts.
func (b *browser) want(status int, texts ...string) {
	b.t.Helper()
	if b.status != status {
		b.t.Fatalf("%s: %d, not %d:\n%s", b.path, b.status, status, b.page)
	}
	for _, text := range texts {
		if !strings.Contains(b.page, text) {
			b.t.Errorf("%s does not say %q:\n%s", b.path, text, b.page)
		}
	}
}

func (b *browser) wantNot(texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		if strings.Contains(b.page, text) {
			b.t.Errorf("%s says %q:\n%s", b.path, text, b.page)
		}
	}
}

// leads are where an attribute of the last page's elements leads to.
func (b *browser) leads(attribute string) (to []string) {
	b.t.Helper()
	at, err := url.Parse(b.path)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(" "+attribute+`="([^"]*)"`).FindAllStringSubmatch(b.page, -1) {
		target, err := at.Parse(html.UnescapeString(m[1]))
		if err != nil {
			b.t.Fatal(err)
		}
		to = append(to, target.RequestURI())
	}
	return to
}

var formToken = regexp.MustCompile(`name="csrf_token" value="([^"]+)"`)

// submit sends a form of the last page, with more fields.
func (b *browser) submit(action string, fields url.Values) {
	b.t.Helper()
	if !slices.Contains(b.leads("action"), action) {
		b.t.Fatalf("%s has no form for %s:\n%s", b.path, action, b.page)
	}
	m := formToken.FindStringSubmatch(b.page)
	if m == nil {
		b.t.Fatalf("%s has no form's token", b.path)
	}
	form := url.Values{"csrf_token": {m[1]}, "next": {b.path}}
	maps.Copy(form, fields)
	b.post(action, form)
}

func (k *kit) create(t *testing.T, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair) {
	t.Helper()
	session, pair, err := k.Create(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	return session, pair
}

func (k *kit) ending(t *testing.T, id uuid.UUID) sessionstore.Ending {
	t.Helper()
	h, err := k.History(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return h.Session.Ended
}

func (k *kit) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := k.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// recorded waits for an event of the audit trail.
func (k *kit) recorded(t *testing.T, is func(event map[string]any) bool) map[string]any {
	t.Helper()
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(5 * time.Millisecond) {
		for line := range strings.Lines(k.trail.String()) {
			var event map[string]any
			if json.Unmarshal([]byte(line), &event) == nil && is(event) {
				return event
			}
		}
	}
	t.Fatalf("no such event in\n%s", k.trail)
	return nil
}
