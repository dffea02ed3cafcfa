package console

import (
	"net/http"
	"strings"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
)

// Handler returns the page for operators with one of the keys.
func (c *Console) Handler(keys Keys) http.Handler {
	with := *c
	with.keys = keys
	shown := func(w http.ResponseWriter, r *http.Request, err error) { with.show(w, r, err) } // the manager has logged it
	with.manager = sessionhttp.New[signedIn](c.cfg.Own, sessionhttp.Config{
		Transport: sessionhttp.Cookies{Name: ClientID}, Optional: true, Client: clientOf, OnError: shown, Logger: c.cfg.Logger,
	})
	with.forms = sessionhttp.NewForms(with.manager, func(s *signedIn) *[]byte { return &s.FormSecret })
	return with.routes()
}

func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", strings.TrimPrefix(root, "/")+"/") // relative, like all others
		w.WriteHeader(http.StatusMovedPermanently)
	})
	mux.HandleFunc("GET "+root+"/static/{file}", serveStatic)
	for pattern, h := range map[string]handler{
		"GET /sign-in":      c.showSignIn,
		"POST /sign-in":     c.signIn,
		"GET /signed-in":    c.signedIn,
		"GET /link/{code}":  c.showLink,
		"POST /link/{code}": c.useLink,
		"POST /sign-out":    c.signOut,
		"/":                 c.notFound,
	} {
		mux.Handle(below(pattern), c.answer(h))
	}
	for pattern, h := range map[string]operatorHandler{
		"GET /{$}":                c.search,
		"GET /subject":            c.subject,
		"POST /subject/end":       c.endSubject,
		"GET /sessions/{id}":      c.session,
		"POST /sessions/{id}/end": c.endSession,
		"GET /now":                c.showNow,
		"POST /jobs/{id}/again":   c.sendAgain,
		"POST /events/{id}/again": c.resendEvent,
		"POST /events/again":      c.resendEvents,
		"GET /thefts":             c.thefts,
		"GET /thefts/{id}":        c.theft,
	} {
		mux.Handle(below(pattern), c.answer(c.signedInOnly(h)))
	}
	return secure(http.MaxBytesHandler(c.manager.Handler(c.forms.Handler(mux)), maxFormBytes))
}

// policy allows what the page is made of, all of which comes from the service.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Referrer-Policy", "same-origin") // without any, browsers send forms with the origin "null"
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
