// Package fromscs has one program twice, with scs and with ours, as docs/from-scs.md shows it.
package fromscs

import (
	"fmt"
	"net/http"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// visit is what a session keeps; its user is the session's subject.
type visit struct {
	Items int    `json:"items"`
	Flash string `json:"flash,omitempty"`
}

// After is the same with ours. Lifetimes are in the store's Config.
func After(store *sessionstore.Store) http.Handler {
	sessions := sessionhttp.New[visit](store, sessionhttp.Config{Transport: sessionhttp.Cookies{}, Optional: true})

	// change changes the visitor's session, and makes one for a visitor without one.
	change := func(w http.ResponseWriter, r *http.Request, f func(*visit) error) error {
		if session := sessions.From(r.Context()); session != nil {
			return session.Update(r.Context(), f)
		}
		var first visit
		if err := f(&first); err != nil {
			return err
		}
		_, _, err := sessions.Begin(w, r, first, sessionstore.CreateParams{})
		return err
	}
	answer := func(w http.ResponseWriter, r *http.Request, err error) {
		if err != nil {
			sessionhttp.Error(w, r, err)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		var user string
		var seen visit
		if session := sessions.From(r.Context()); session != nil {
			user = session.Info.Subject
			if err := session.Update(r.Context(), func(v *visit) error { seen, v.Flash = *v, ""; return nil }); err != nil {
				sessionhttp.Error(w, r, err)
				return
			}
		}
		_, _ = fmt.Fprintf(w, "%q has %d. %s", user, seen.Items, seen.Flash)
	})
	mux.HandleFunc("POST /items", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, change(w, r, func(v *visit) error { v.Items++; v.Flash = "Added."; return nil }))
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) { // the password is right
		params := sessionstore.CreateParams{Subject: r.FormValue("user")}
		session := sessions.From(r.Context())
		if session == nil {
			_, _, err := sessions.Begin(w, r, visit{Flash: "Welcome."}, params)
			answer(w, r, err)
			return
		}
		err := session.Update(r.Context(), func(v *visit) error { v.Flash = "Welcome."; return nil })
		if err == nil {
			_, err = session.Renew(r.Context(), params)
		}
		answer(w, r, err)
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, sessions.End(w, r))
	})
	return sessions.Handler(mux)
}
