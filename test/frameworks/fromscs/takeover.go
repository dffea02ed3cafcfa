package fromscs

import (
	"net/http"

	"github.com/alexedwards/scs/v2"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// TakeOver wraps the new program for as long as there are scs sessions: a visitor who has only one
// of those gets one of ours, with its data.
func TakeOver(old *scs.SessionManager, store *sessionstore.Store, program http.Handler) http.Handler {
	sessions := sessionhttp.New[visit](store, sessionhttp.Config{Transport: sessionhttp.Cookies{}, Optional: true})
	return old.LoadAndSave(sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := old.GetString(r.Context(), "user")
		if user == "" || sessions.From(r.Context()) != nil {
			program.ServeHTTP(w, r)
			return
		}
		data := visit{Items: old.GetInt(r.Context(), "items")}
		_, _, err := sessions.Begin(w, r, data, sessionstore.CreateParams{Subject: user})
		if err == nil {
			err = old.Destroy(r.Context())
		}
		if err != nil {
			sessionhttp.Error(w, r, err)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther) // with the new cookies
	})))
}
