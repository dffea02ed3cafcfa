package console

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"unicode"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// deepest is how many levels other pages may be below the first.
const deepest = 2

// pages are those of each level. They are parsed when the first one is shown: that is two fifths of the start of a command, most
// of which show none.
var pages = sync.OnceValue(func() (levels [deepest + 1]map[string]*template.Template) {
	for level := range levels {
		levels[level] = parsePages(words(upFrom(level)), "sign-in", "search", "subject", "session", "thefts", "theft", "now", "problem")
	}
	return levels
})

func parsePages(words template.FuncMap, names ...string) map[string]*template.Template {
	parsed := make(map[string]*template.Template, len(names))
	for _, name := range names {
		parsed[name] = template.Must(template.New("layout.html").Funcs(words).ParseFS(pageFiles, "pages/layout.html", "pages/parts.html", "pages/"+name+".html"))
	}
	return parsed
}

// statusClientClosedRequest is nginx's, for the log and for metrics: a closed browser is not a
// failure of the service.
const statusClientClosedRequest = 499

// handler answers a request, or returns the error that [Console.fail] answers with. It returns an
// error only before it has written anything.
type handler func(http.ResponseWriter, *http.Request) error

func (c *Console) answer(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			c.fail(w, r, err)
		}
	})
}

// operatorHandler answers a request by an operator.
type operatorHandler func(http.ResponseWriter, *http.Request, operator) error

// signedInOnly sends all others to the sign-in, and then on to the page that they requested.
func (c *Console) signedInOnly(next operatorHandler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		o, ok := c.operatorOf(r)
		if ok {
			return next(w, o.acting(r), o)
		}
		to := root + "/sign-in"
		if r.Method == http.MethodGet {
			to += "?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
		}
		redirect(w, r, to)
		return nil
	}
}

func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, name, title string, page any) error {
	level := levelOf(r)
	if level > deepest { // no page is that deep
		http.Error(w, title, status)
		return nil
	}
	l := layout{Title: title, Path: r.URL.Path, FormField: sessionhttp.FormField, Page: page}
	if o, ok := c.operatorOf(r); ok {
		var err error
		l.Operator = o.Name
		if l.FormToken, err = c.forms.Token(r.Context()); err != nil {
			return err
		}
	}
	switch name {
	case "search", "subject", "session":
		l.KeysSince = c.keysSince(r.Context())
	}
	var body strings.Builder
	if err := pages()[level][name].Execute(&body, l); err != nil {
		return fmt.Errorf("console: the page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = unmixed.WriteString(w, body.String()) // the client may have left
	return nil
}

// unmixed makes visible the characters that reverse the direction of text, and invisible
// ones: with one in a label, a client could make an operator misread an address.
var unmixed = func() *strings.Replacer {
	var pairs []string
	for _, hidden := range []struct{ first, last rune }{{0, '\t' - 1}, {'\n' + 1, ' ' - 1}, {0x7f, 0x9f}, {'\u202a', '\u202e'}, {'\u2066', '\u2069'}} {
		for r := hidden.first; r <= hidden.last; r++ {
			pairs = append(pairs, string(r), string(unicode.ReplacementChar))
		}
	}
	return strings.NewReplacer(pairs...)
}()

type problemPage struct{ What, Then string }

func (c *Console) notFound(http.ResponseWriter, *http.Request) error { return sessionstore.ErrNotFound }

// fail shows an error, and logs it unless it is an operator's mistake.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	if status := c.show(w, r, err); status >= http.StatusInternalServerError {
		c.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "the operators' page failed", slog.Any("error", err))
	}
}

// show shows an error in our own words, and returns the status.
func (c *Console) show(w http.ResponseWriter, r *http.Request, err error) int {
	status, title, page := http.StatusInternalServerError, "Something went wrong", problemPage{What: "The service has logged what it was."}
	argument, isArgument := errors.AsType[*sessionstore.ArgumentError](err)
	tooLarge, isTooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case errors.Is(err, sessionstore.ErrNotFound):
		status, title = http.StatusNotFound, "Not found"
		page.What = "There is no such page, or no session with that id. A session that has ended is removed after a while."
	case isArgument:
		status, title, page.What = http.StatusBadRequest, "That cannot be looked for", argument.Error()
	case isTooLarge:
		status, title, page.What = http.StatusRequestEntityTooLarge, "Too much", fmt.Sprintf("A form may have %d bytes.", tooLarge.Limit)
	case errors.Is(err, sessionhttp.ErrFormToken), errors.Is(err, sessionhttp.ErrCrossSite):
		status, title = http.StatusForbidden, "Nothing was done"
		page.What, page.Then = "The form did not come from a page of this session: you may have signed in again in another tab.", "Load the page again."
	case errors.Is(r.Context().Err(), context.Canceled): // the time limit gives a different error
		status, title = statusClientClosedRequest, "The client has disconnected"
	case errors.Is(err, sessionstore.ErrUnavailable):
		status, title = http.StatusServiceUnavailable, "The database does not answer"
		page.What, page.Then = "Nothing is known about sessions until it does.", "Try again in a moment."
		w.Header().Set("Retry-After", "1")
	}
	if err := c.render(w, r, status, "problem", title, page); err != nil {
		http.Error(w, title, status)
	}
	return status
}

// serveStatic serves files whose names contain their version, and so never change.
func serveStatic(w http.ResponseWriter, r *http.Request) {
	file := r.PathValue("file")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeFileFS(w, r, staticFiles, "static/"+file) //nolint:gosec // an embed.FS has no way out of it
}
