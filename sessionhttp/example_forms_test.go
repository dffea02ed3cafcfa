package sessionhttp_test

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"

	"github.com/latchkey-sessions/latchkey/memstore"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// A page with a form, for visitors who need not log in. The form has a token of the session's, and the
// answer a message that is shown once.
func ExampleForms() {
	type basket struct {
		Items   []string `json:"items"`
		Message string   `json:"message,omitempty"`
		Secret  []byte   `json:"secret,omitempty"`
	}
	store := memstore.MustNew(sessionstore.Config{}) // in a program: sessionstore.New
	sessions := sessionhttp.New[basket](store, sessionhttp.Config{
		Transport: sessionhttp.Cookies{}, Optional: true,
		Anonymous: func(*http.Request) sessionstore.CreateParams { return sessionstore.CreateParams{} },
	})
	forms := sessionhttp.NewForms(sessions, func(b *basket) *[]byte { return &b.Secret })
	page := template.Must(template.New("").Parse(`{{.Message}} {{len .Items}} in the basket.
<form method="post"><input type="hidden" name="csrf_token" value="{{.Token}}"><input name="item"></form>`))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		session := sessions.From(r.Context())
		token, err := forms.Token(r.Context())
		if err != nil {
			sessionhttp.Error(w, r, err)
			return
		}
		message, err := sessionhttp.Pop(r.Context(), session, func(b *basket) *string { return &b.Message })
		if err != nil {
			sessionhttp.Error(w, r, err)
			return
		}
		_ = page.Execute(w, map[string]any{"Token": token, "Message": message, "Items": session.Read().Items})
	})
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		item := r.PostFormValue("item")
		err := sessions.From(r.Context()).Update(r.Context(), func(b *basket) error {
			b.Items, b.Message = append(b.Items, item), item+" is in the basket."
			return nil
		})
		if err != nil {
			sessionhttp.Error(w, r, err)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	site := sessions.Handler(forms.Handler(mux))

	var cookies []*http.Cookie // what the browser holds
	send := func(method string, form url.Values) string {
		r := httptest.NewRequestWithContext(context.Background(), method, "/", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, cookie := range cookies {
			r.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		if set := w.Result().Cookies(); len(set) > 0 {
			cookies = set
		}
		text, _, _ := strings.Cut(strings.TrimSpace(w.Body.String()), "\n")
		fmt.Printf("%s: %d %q\n", method, w.Code, text)
		return w.Body.String()
	}
	token := regexp.MustCompile(`value="([^"]+)"`).FindStringSubmatch(send(http.MethodGet, nil))[1]
	send(http.MethodPost, url.Values{"item": {"tea"}, "csrf_token": {token}})
	send(http.MethodGet, nil)
	send(http.MethodGet, nil)
	send(http.MethodPost, url.Values{"item": {"spam"}}) // of a page that has no token
	// Output:
	// GET: 200 "0 in the basket."
	// POST: 303 ""
	// GET: 200 "tea is in the basket. 1 in the basket."
	// GET: 200 "1 in the basket."
	// POST: 403 "Forbidden"
}
