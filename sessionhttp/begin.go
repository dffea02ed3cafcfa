package sessionhttp

import (
	"cmp"
	"context"
	"errors"
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

// create makes a session for the manager's client and cookies.
func (m *Manager[T]) create(ctx context.Context, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error) {
	return m.store.Create(ctx, m.own(params))
}

// own makes the session this manager's, unless the caller says otherwise.
func (m *Manager[T]) own(params sessionstore.CreateParams) sessionstore.CreateParams {
	params.ClientID = cmp.Or(params.ClientID, m.cfg.ClientID)
	params.Cookie = cmp.Or(params.Cookie, m.cookie)
	return params
}

// isOthers reports whether a session belongs to another manager, by its client or its cookie.
func (m *Manager[T]) isOthers(clientID, cookie string) bool {
	return m.cfg.ClientID != "" && clientID != m.cfg.ClientID ||
		m.cookie != "" && cookie != "" && cookie != m.cookie
}

// present returns the session that the request has, whether or not the request comes through
// the middleware, or nil. If its data does not decode, only the id is usable: to end it.
func (m *Manager[T]) present(w http.ResponseWriter, r *http.Request) (*Session[T], error) {
	if s := m.From(r.Context()); s != nil {
		return s, nil
	}
	s, err := m.load(w, r)
	if s != nil || errors.Is(err, ErrNoToken) || errors.Is(err, ErrMalformed) || IsInvalidToken(err) {
		return s, nil
	}
	return nil, err
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
