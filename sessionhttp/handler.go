package sessionhttp

import (
	"context"
	"errors"
	"net/http"

	"github.com/latchkey-sessions/latchkey/dpop"
)

// Handler wraps next: it serves requests with valid tokens. Invalid tokens stay in a browser's
// cookies: removing them with a late response could remove newer ones.
func (m *Manager[T]) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.From(r.Context()) != nil { // it is in the chain twice
			next.ServeHTTP(w, r)
			return
		}
		session, err := m.find(w, r)
		if err != nil {
			m.logFault(r.Context(), err)
			m.vary(w.Header())
			m.cfg.OnError(w, r, err)
			return
		}
		m.serve(w, r, session, next)
	})
}

// serve calls the handler, without a session if that is nil: one may begin.
func (m *Manager[T]) serve(w http.ResponseWriter, r *http.Request, session *Session[T], next http.Handler) {
	ctx := r.Context()
	tokens := handedOf(ctx)
	if tokens == nil {
		tokens = new(handed)
		ctx = context.WithValue(ctx, handedKey{}, tokens)
	}
	out := &responseWriter{
		ResponseWriter: w,
		begin:          func(int) error { return nil },
		hand: func(header http.Header) {
			tokens.write(header)
			m.vary(header)
		},
		fail: func(err error) { m.cfg.OnError(w, r, err) },
	}
	if session != nil {
		session.handed = tokens
		ctx = context.WithValue(ctx, contextKey{m}, session)
		out.before = w.Header().Clone()
		out.begin = func(status int) error {
			answer, err := session.begin(ctx, status)
			tokens.put(m, answer)
			return err
		}
	}
	r = r.WithContext(ctx)
	served := false
	defer func() {
		if !served { // a panic is in progress
			if session != nil {
				session.discard()
			}
			out.abandon()
		}
	}()
	next.ServeHTTP(out, r)
	out.start(http.StatusOK)
	served = true
}

// logFault logs a request that could not be served through no fault of its client, unless the
// client has left.
func (m *Manager[T]) logFault(ctx context.Context, err error) {
	_, isLogged := errors.AsType[*DataError](err)
	isClients := dpop.ErrorCode(err) != "" || IsInvalidToken(err) ||
		errors.Is(err, ErrNoToken) || errors.Is(err, ErrMalformed) || errors.Is(err, ErrCrossSite)
	if isClients || isLogged || errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	m.cfg.Logger.ErrorContext(ctx, "a session could not be loaded", "error", err.Error())
}
