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

// find returns the session that a request is served with, which is nil if it needs none.
func (m *Manager[T]) find(w http.ResponseWriter, r *http.Request) (*Session[T], error) {
	s, err := m.load(w, r)
	if err == nil {
		return s, nil
	}
	if _, undecodable := errors.AsType[*DataError](err); undecodable && m.cfg.Repair == nil && m.cfg.Transport.Ambient() {
		// It may belong to another manager, which began it before tokens named cookies, or to
		// another release of the program. It is logged, and is not changed.
		err = fmt.Errorf("%w: %w", tokens.ErrInvalid, err)
	}
	if m.strangers(err) {
		return m.visitor(r)
	}
	return nil, err
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

// load returns the session of the request's tokens, after a refresh if they need one and the
// transport has the refresh token. An error may come with a session, of which
// only the data is missing.
func (m *Manager[T]) load(w http.ResponseWriter, r *http.Request) (*Session[T], error) {
	presented, err := m.cfg.Transport.Read(r)
	if err != nil {
		return nil, err
	}
	var expiring *Session[T]
	if presented.Access != "" {
		s, err := m.get(w, r, presented, isRefreshed(r, string(presented.Access)))
		if presented.Refresh == "" || !replaceable(err) && (err != nil || !m.expires(s.Claims)) {
			return s, err
		}
		if err == nil {
			expiring = s
		}
	}
	refreshed, err := m.store.RefreshTokens(r.Context(), string(presented.Refresh), m.cfg.Client(r))
	if err = final(err); err != nil && expiring != nil && !IsInvalidToken(err) {
		return expiring, nil // the next request tries again
	}
	if err != nil {
		return nil, err
	}
	now := time.Now()
	presented.Access = refreshed.Pair.AccessToken
	// The cookies may not arrive: then the browser sends the old ones, and that must not look like
	// a theft.
	s, err := m.get(w, r, presented, true)
	if err != nil {
		if !IsInvalidToken(err) { // an outage, or data that does not decode: the pair is still valid
			m.hand(r.Context(), w.Header(), m.handOver(refreshed.Pair))
		}
		return s, err
	}
	s.pair, s.refreshed = &refreshed.Pair, now
	return s, nil
}

// get returns the session of an access token.
func (m *Manager[T]) get(w http.ResponseWriter, r *http.Request, presented Presented, unconfirmed bool) (*Session[T], error) {
	scheme, token := presented.Scheme, string(presented.Access)
	info, claims, err := m.store.GetWith(r.Context(), token, sessionstore.GetOptions{
		Check: func(claims tokens.Claims) error {
			if m.isOthers(claims.ClientID, claims.Cookie) {
				return fmt.Errorf("%w: it is another manager's", tokens.ErrInvalid)
			}
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
	s, err := m.session(r.Context(), info, claims)
	s.access.Store(&presented.Access)
	return s, err
}

// early is how long before its end an access token is replaced: an API that gets it from this
// request must have time to use it. For tokens that last less than five minutes, it is a tenth of
// their lifetime.
const early = 30 * time.Second

func (m *Manager[T]) expires(claims tokens.Claims) bool {
	return claims.ExpiresAt.Sub(m.now()) < min(early, claims.ExpiresAt.Sub(claims.IssuedAt)/10)
}

// replaceable reports whether a refresh may help: not if the session has ended.
func replaceable(err error) bool {
	return errors.Is(err, tokens.ErrInvalid) || errors.Is(err, sessionstore.ErrSuperseded)
}

// final turns a refresh error that says that the token is not valid into one that
// [IsInvalidToken] recognizes.
func final(err error) error {
	if errors.Is(err, sessionstore.ErrReuse) || errors.Is(err, sessionstore.ErrNotProven) {
		return fmt.Errorf("%w: %w", tokens.ErrInvalid, err)
	}
	return err
}

// strangers reports whether a request is served without a session although its tokens failed.
func (m *Manager[T]) strangers(err error) bool {
	if !m.cfg.Optional {
		return false
	}
	return errors.Is(err, ErrNoToken) ||
		m.cfg.Transport.Ambient() && (IsInvalidToken(err) || errors.Is(err, ErrMalformed))
}
