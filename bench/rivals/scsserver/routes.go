package main

import (
	"net/http"

	"github.com/alexedwards/scs/v2"

	"github.com/latchkey-sessions/latchkey/bench/rivals/internal/handshake"
)

// routes puts scs' middleware in front of two handlers, one of which makes it write the session too.
func routes(manager *scs.SessionManager, data []byte) http.Handler {
	answer := func(w http.ResponseWriter, r *http.Request) {
		value := manager.GetBytes(r.Context(), dataKey)
		if value == nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(value) // the client went away
	}

	mux := http.NewServeMux()
	mux.Handle("GET "+handshake.SessionPath, manager.LoadAndSave(http.HandlerFunc(answer)))
	mux.Handle("POST "+handshake.SessionPath, manager.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if manager.Exists(r.Context(), dataKey) {
			manager.Put(r.Context(), dataKey, data)
		}
		answer(w, r)
	})))

	return mux
}
