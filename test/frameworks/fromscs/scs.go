package fromscs

import (
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
)

// Before is the program with scs.
func Before() http.Handler {
	sessions := scs.New()
	sessions.Lifetime = 30 * 24 * time.Hour
	sessions.IdleTimeout = 24 * time.Hour
	sessions.Cookie.Secure = true

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		user := sessions.GetString(r.Context(), "user")
		items := sessions.GetInt(r.Context(), "items")
		flash := sessions.PopString(r.Context(), "flash")
		_, _ = fmt.Fprintf(w, "%q has %d. %s", user, items, flash)
	})
	mux.HandleFunc("POST /items", func(w http.ResponseWriter, r *http.Request) {
		sessions.Put(r.Context(), "items", sessions.GetInt(r.Context(), "items")+1)
		sessions.Put(r.Context(), "flash", "Added.")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) { // the password is right
		if err := sessions.RenewToken(r.Context()); err != nil {
			http.Error(w, "Internal Server Error", http.StatusInternalServerError)
			return
		}
		sessions.Put(r.Context(), "user", r.FormValue("user"))
		sessions.Put(r.Context(), "flash", "Welcome.")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Destroy(r.Context()); err != nil {
			http.Error(w, "Internal Server Error", http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	return sessions.LoadAndSave(mux)
}
