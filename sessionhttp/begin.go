package sessionhttp

import (
	"context"
	"net/http"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Begin makes a session with the given data and hands its tokens to the client, in the header
// of the response if the transport does that; otherwise the caller must send them. A session
// that the request already has ends: a user who logs in must not continue with tokens that
// an attacker may have planted. An empty Client in params means the result of
// [Config].Client. The request need not come through [Manager.Handler]; if it does, call
// Begin before the response begins, or the error is [ErrBegun]. Data that does not decode
// back into T is a [DataError].
func (m *Manager[T]) Begin(w http.ResponseWriter, r *http.Request, data T, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error) {
	fail := func(err error) (sessionstore.Session, sessionstore.TokenPair, error) {
		return sessionstore.Session{}, sessionstore.TokenPair{}, err
	}
	before, err := m.present(w, r)
	if err != nil {
		return fail(err)
	}
	ending, cancel := m.saving(r.Context())
	defer cancel()
	if before != nil {
		if err := before.take(ending); err != nil {
			return fail(err)
		}
		defer before.release() // a response that begins meanwhile waits for the tokens
		if err := before.unanswered(); err != nil {
			return fail(err)
		}
	} else if handedOf(r.Context()).isTooLate() {
		return fail(ErrBegun)
	}
	if params.Client == (sessionstore.Client{}) {
		params.Client = m.cfg.Client(r)
	}
	session, pair, err := m.Create(r.Context(), data, params)
	if err != nil {
		return fail(err)
	}
	if before != nil {
		if err := before.end(ending, sessionstore.Cause{Reason: sessionstore.ReasonReplaced, By: session.ID.String()}); err != nil {
			return fail(err)
		}
	}
	if !m.hand(r.Context(), w.Header(), m.handOver(pair)) {
		_ = m.end(ending, session.ID, sessionstore.Cause{}) // no client has its tokens
		return fail(ErrBegun)
	}
	return session, pair, nil
}

// Create makes a session with the given data, without a request: see
// [sessionstore.Store.Create].
func (m *Manager[T]) Create(ctx context.Context, data T, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error) {
	encoded, err := encode(data)
	if err == nil {
		_, err = written[T](encoded)
	}
	if err != nil {
		return sessionstore.Session{}, sessionstore.TokenPair{}, err
	}
	params.Data = encoded
	return m.create(ctx, params)
}

// unanswered returns nil while the response can still hand over tokens.
func (s *Session[T]) unanswered() error {
	switch s.phase.Load() {
	case direct:
		if !s.alone {
			return ErrBegun
		}
	case discarded:
		return ErrDiscarded
	}
	return nil
}
