package sessionhttp

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// load returns the session of the request's tokens, after a refresh if that is what they need
// and the transport has the refresh token.
func (m *Manager[T]) load(w http.ResponseWriter, r *http.Request) (*Session[T], error) {
	presented, err := m.cfg.Transport.Read(r)
	if err != nil {
		return nil, err
	}
	if presented.Access != "" {
		s, err := m.get(w, r, presented, isRefreshed(r, string(presented.Access)))
		if presented.Refresh == "" || !replaceable(err) {
			return s, err
		}
	}
	refreshed, err := m.store.RefreshTokens(r.Context(), string(presented.Refresh), m.cfg.Client(r))
	if err != nil {
		return nil, final(err)
	}
	began := time.Now()
	presented.Access = refreshed.Pair.AccessToken
	// Whether the cookies arrive is open: if they do not, the browser comes with the old ones, and
	// that must not look like a theft.
	s, err := m.get(w, r, presented, true)
	if err != nil {
		return nil, err
	}
	s.answer = func(header http.Header) {
		// Where the answer took its time, the browser may have a newer pair, which this one would
		// take from it. If it has not, it comes with the old one.
		if time.Since(began) < refreshed.Pair.ExpiresIn()/2 {
			m.cfg.Transport.Write(header, refreshed.Pair)
		}
	}
	return s, nil
}

// get returns the session of an access token.
func (m *Manager[T]) get(w http.ResponseWriter, r *http.Request, presented Presented, unconfirmed bool) (*Session[T], error) {
	scheme, token := presented.Scheme, string(presented.Access)
	info, claims, err := m.store.GetWith(r.Context(), token, sessionstore.GetOptions{
		Check: func(claims tokens.Claims) error {
			if scheme == dpop.Scheme {
				m.cfg.Proofs.SetNonce(w.Header())
			}
			return notProven(m.cfg.Proofs.Confirm(r, scheme, token, claims.KeyThumbprint))
		},
		Unconfirmed: unconfirmed,
	})
	if err != nil {
		return nil, err
	}
	return m.session(r.Context(), info, claims)
}

// replaceable tells whether a refresh may help: not if the session has ended.
func replaceable(err error) bool {
	return errors.Is(err, tokens.ErrInvalid) || errors.Is(err, sessionstore.ErrSuperseded)
}

// final makes an error of a refresh that says that the token is no good one that
// [IsInvalidToken] knows.
func final(err error) error {
	if errors.Is(err, sessionstore.ErrReuse) || errors.Is(err, sessionstore.ErrNotProven) {
		return fmt.Errorf("%w: %w", tokens.ErrInvalid, err)
	}
	return err
}

// strangers tells whether a request is served without a session although its tokens failed.
func (m *Manager[T]) strangers(err error) bool {
	if !m.cfg.Optional {
		return false
	}
	return errors.Is(err, ErrNoToken) ||
		m.cfg.Transport.Ambient() && (IsInvalidToken(err) || errors.Is(err, ErrMalformed))
}

// describe is the default of [Config.Client].
func describe(r *http.Request) sessionstore.Client {
	return sessionstore.Client{UserAgent: r.UserAgent()}
}

// Begin makes a session with the given data and hands its tokens to the client, in the header
// of the answer where the transport does that; else the caller sends them. A session that the
// request has already ends: who logs in must not go on with tokens that somebody else may have
// planted. An empty Client in params is what [Config].Client says.
func (m *Manager[T]) Begin(w http.ResponseWriter, r *http.Request, data T, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error) {
	var err error
	if params.Data, err = encode(data); err != nil {
		return sessionstore.Session{}, sessionstore.TokenPair{}, err
	}
	if params.Client == (sessionstore.Client{}) {
		params.Client = m.cfg.Client(r)
	}
	session, pair, err := m.store.Create(r.Context(), params)
	if err != nil {
		return sessionstore.Session{}, sessionstore.TokenPair{}, err
	}
	replaced := sessionstore.Cause{Reason: sessionstore.ReasonReplaced, By: session.ID.String()}
	if s := m.From(r.Context()); s != nil {
		err = s.end(r.Context(), func() sessionstore.Cause { return replaced })
	}
	if err != nil {
		return sessionstore.Session{}, sessionstore.TokenPair{}, err
	}
	m.cfg.Transport.Write(w.Header(), pair)
	return session, pair, nil
}

// End revokes the request's session, if it has one, and takes the tokens from the client where
// the transport can. It must be called before the response begins.
func (m *Manager[T]) End(w http.ResponseWriter, r *http.Request) error {
	if s := m.From(r.Context()); s != nil {
		if err := s.End(r.Context()); err != nil {
			return err
		}
	}
	m.cfg.Transport.Clear(w.Header())
	return nil
}
