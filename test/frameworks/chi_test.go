package frameworks_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

// chi accepts net/http middleware unchanged.
func withChi(a *app, inside bool) http.Handler {
	answer := func(w http.ResponseWriter, r *http.Request, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Handler", "chi")
		_ = json.NewEncoder(w).Encode(tally{a.count(r.Context())})
	}
	r := chi.NewRouter()
	r.Use(middleware.RequestID, middleware.Compress(5))
	if !inside {
		r.Use(middleware.Recoverer)
	}
	r.Route("/account/{name}", func(r chi.Router) {
		r.Use(a.sessions.Handler)
		if inside {
			r.Use(middleware.Recoverer)
		}
		r.Get("/count", func(w http.ResponseWriter, r *http.Request) { answer(w, r, nil) })
		r.Post("/add", func(w http.ResponseWriter, r *http.Request) {
			var body added
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			answer(w, r, a.add(r.Context(), body.N))
		})
		r.Post("/conflict", func(w http.ResponseWriter, r *http.Request) { answer(w, r, a.conflict(r.Context())) })
		r.Post("/fail", func(w http.ResponseWriter, r *http.Request) { answer(w, r, a.fail(r.Context())) })
		r.Post("/panic", func(_ http.ResponseWriter, r *http.Request) { a.panic(r.Context()) })
		r.Post("/leave", func(w http.ResponseWriter, r *http.Request) { answer(w, r, a.leave(r.Context())) })
		// middleware.Timeout answers 504 when the handler has returned without an answer.
		r.With(middleware.Timeout(patienceOfSlow)).Post("/slow", func(_ http.ResponseWriter, r *http.Request) {
			_ = a.slow(r.Context())
		})
	})
	return r
}

func TestChi(t *testing.T) {
	t.Parallel()
	run(t, overNetHTTP(withChi))
}
