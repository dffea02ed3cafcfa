package sessionhttp

import (
	"context"
	"net/http"
)

// Handler wraps next: it serves requests with good tokens. Tokens that are no good stay in a
// browser's cookies: to remove them with an answer that is late would remove newer ones.
func (m *Manager[T]) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, err := m.load(w, r)
		if err != nil && m.strangers(err) {
			next.ServeHTTP(w, r)
			return
		}
		if err != nil {
			m.cfg.OnError(w, r, err)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), contextKey{m}, session))
		out := &responseWriter{
			ResponseWriter: w,
			begin:          func(status int) (func(http.Header), error) { return session.begin(r.Context(), status) }, //nolint:contextcheck // it is the request's
			fail:           func(err error) { m.cfg.OnError(w, r, err) },
			before:         w.Header().Clone(),
		}
		served := false
		defer func() {
			if !served { // a panic is on its way
				session.discard()
			}
		}()
		next.ServeHTTP(out, r)
		served = true
		out.start(http.StatusOK)
	})
}
