package sessionhttp_test

import (
	"html/template"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// guarded is the data of sessions with forms.
type guarded struct {
	Notes  []string `json:"notes"`
	Secret []byte   `json:"secret,omitempty"`
}

// notes is a page with a form and a part that htmx sends.
var notes = template.Must(template.New("").Parse(`<body hx-headers='{"X-CSRF-Token": "{{.Token}}"}'>
<form method="post"><input type="hidden" name="csrf_token" value="{{.Token}}"><input name="note"></form>
{{range .Notes}}<li>{{.}}</li>{{end}}`))

var inForm, inHeaders = regexp.MustCompile(`name="csrf_token" value="([^"]*)"`), regexp.MustCompile(`"X-CSRF-Token": "([^"]*)"`)

type notebook struct {
	store *sessionstore.Store
	*sessionhttp.Manager[guarded]
	http.Handler
}

// newNotebook is a site whose GET has a form, whose POST writes a note, and whose PUT signs in.
func newNotebook(t *testing.T, cfg sessionhttp.Config) notebook {
	t.Helper()
	store := setup(t, sessionhttp.Config{}).store
	cfg.Transport = sessionhttp.Cookies{}
	manager := sessionhttp.New[guarded](store, cfg)
	forms := sessionhttp.NewForms(manager, func(g *guarded) *[]byte { return &g.Secret })
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session := manager.From(r.Context())
		var err error
		switch r.Method {
		case http.MethodPost, http.MethodDelete:
			if session != nil {
				err = session.Update(r.Context(), func(g *guarded) error { g.Notes = append(g.Notes, r.FormValue("note")); return nil })
			}
		case http.MethodPut:
			_, err = session.Renew(r.Context(), sessionstore.CreateParams{Subject: "ann"})
		default:
			var token string
			if token, err = forms.Token(r.Context()); err == nil {
				page := struct {
					Token string
					Notes []string
				}{Token: token}
				if session != nil {
					page.Notes = session.Read().Notes
				}
				err = notes.Execute(w, page)
			}
		}
		if err != nil {
			sessionhttp.Error(w, r, err)
		}
	})
	return notebook{store, manager, manager.Handler(forms.Handler(page))}
}

// guest has a session in its cookies.
func (n notebook) guest(t *testing.T) browser {
	t.Helper()
	_, pair, err := n.Create(t.Context(), guarded{}, sessionstore.CreateParams{})
	if err != nil {
		t.Fatal(err)
	}
	return browser{accessCookie: string(pair.AccessToken), refreshCookie: string(pair.RefreshToken)}
}

// submit sends a form or, with a header, what a script sends.
func (b browser) submit(t *testing.T, handler http.Handler, method, field, header string) int {
	t.Helper()
	form := url.Values{"note": {"milk"}}
	if field != "" {
		form.Set(sessionhttp.FormField, field)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, "https://shop.example.com/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if header != "" {
		r.Header.Set(sessionhttp.FormHeader, header)
	}
	for name, value := range b {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	b.keep(w)
	return w.Code
}

// token is what a page has.
func (b browser) token(t *testing.T, handler http.Handler, where *regexp.Regexp) string {
	t.Helper()
	page := b.open(t, handler, http.MethodGet)
	found := where.FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("no token in %s", page)
	}
	return found[1]
}

func TestForms(t *testing.T) {
	t.Parallel()
	site := newNotebook(t, sessionhttp.Config{Optional: true})
	ann, bob := site.guest(t), site.guest(t)
	if code := ann.submit(t, site, http.MethodPost, "", ""); code != http.StatusForbidden {
		t.Errorf("before the first page: %d", code)
	}
	token, again, others := ann.token(t, site, inForm), ann.token(t, site, inHeaders), bob.token(t, site, inForm)
	if token == again {
		t.Error("the token is always the same text")
	}
	for name, test := range map[string]struct {
		method, field, header string
		want                  int
	}{
		"form":            {http.MethodPost, token, "", http.StatusOK},
		"htmx":            {http.MethodPost, "", again, http.StatusOK},
		"htmx deletes":    {http.MethodDelete, "", token, http.StatusOK},
		"none":            {http.MethodPost, "", "", http.StatusForbidden},
		"none to delete":  {http.MethodDelete, "", "", http.StatusForbidden},
		"another's":       {http.MethodPost, others, "", http.StatusForbidden},
		"another's twice": {http.MethodPost, others, others, http.StatusForbidden},
		"cut":             {http.MethodPost, token[:len(token)-3], "", http.StatusForbidden},
		"changed":         {http.MethodPost, "", "AAAA" + token[4:], http.StatusForbidden},
		"not base64":      {http.MethodPost, "%%%", "", http.StatusForbidden},
	} {
		if code := ann.submit(t, site, test.method, test.field, test.header); code != test.want {
			t.Errorf("%s: %d", name, code)
		}
	}
	if code := (browser{}).submit(t, site, http.MethodPost, "", ""); code != http.StatusOK {
		t.Errorf("a visitor: %d", code)
	}
	if got := (browser{}).token(t, site, inForm); got != "" {
		t.Errorf("a visitor's token: %q", got)
	}
	// Who knew the guest's token has none of the user's.
	if code := ann.submit(t, site, http.MethodPut, token, ""); code != http.StatusOK {
		t.Errorf("signing in: %d", code)
	}
	if code := ann.submit(t, site, http.MethodPost, token, ""); code != http.StatusForbidden {
		t.Errorf("the guest's token: %d", code)
	}
	if code := ann.submit(t, site, http.MethodPost, ann.token(t, site, inForm), ""); code != http.StatusOK {
		t.Errorf("a new token: %d", code)
	}
}

// First pages that are loaded simultaneously all have a valid token.
func TestFirstFormsAtOnce(t *testing.T) {
	t.Parallel()
	site := newNotebook(t, sessionhttp.Config{})
	ann := site.guest(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			tab := maps.Clone(ann)
			if code := tab.submit(t, site, http.MethodPost, tab.token(t, site, inForm), ""); code != http.StatusOK {
				t.Errorf("%d", code)
			}
		})
	}
	group.Wait()
}

// A visitor's first form begins their session.
func TestAnonymousForm(t *testing.T) {
	t.Parallel()
	site := newNotebook(t, sessionhttp.Config{Optional: true, Anonymous: func(*http.Request) sessionstore.CreateParams { return sessionstore.CreateParams{} }})
	ann := browser{}
	if code := ann.submit(t, site, http.MethodPost, ann.token(t, site, inForm), ""); code != http.StatusOK || len(ann) != 2 {
		t.Errorf("%d, %d cookies", code, len(ann))
	}
	if page := ann.open(t, site, http.MethodGet); !strings.Contains(page, "<li>milk</li>") {
		t.Error(page)
	}
	if code := ann.submit(t, site, http.MethodPost, "", ""); code != http.StatusForbidden {
		t.Errorf("without a token: %d", code)
	}
}
