package sessionhttp

import (
	"context"
	"errors"
	"net/http"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Handler wraps next: it serves requests with a good access token.
func (m *Manager[T]) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, err := m.load(w, r)
		if errors.Is(err, ErrNoToken) && m.cfg.Optional {
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
			begin:          func(status int) error { return session.begin(r.Context(), status) }, //nolint:contextcheck // it is the request's
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

// load returns the session of the request's access token.
func (m *Manager[T]) load(w http.ResponseWriter, r *http.Request) (*Session[T], error) {
	scheme, token, err := AccessToken(r)
	if err != nil {
		return nil, err
	}
	info, claims, err := m.store.GetWith(r.Context(), token, sessionstore.GetOptions{
		Check: func(claims tokens.Claims) error {
			if scheme == dpop.Scheme {
				m.cfg.Proofs.SetNonce(w.Header())
			}
			return notProven(m.cfg.Proofs.Confirm(r, scheme, token, claims.KeyThumbprint))
		},
		Unconfirmed: isRefreshed(r, token),
	})
	if err != nil {
		return nil, err
	}
	return m.session(r.Context(), info, claims)
}
