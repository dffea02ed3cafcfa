package sessionhttp

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// visitor is the session that a request without one begins with its first change, or nil if
// it does not.
func (m *Manager[T]) visitor(r *http.Request) (*Session[T], error) {
	if m.cfg.Anonymous == nil || !m.cfg.Transport.Ambient() {
		return nil, nil
	}
	s, err := m.session(r.Context(), sessionstore.Session{Data: []byte("{}"), Checksum: "none yet"}, tokens.Claims{})
	if err != nil {
		return nil, err
	}
	s.guest = m.cfg.Anonymous(r)
	if s.guest.Client == (sessionstore.Client{}) {
		s.guest.Client = m.cfg.Client(r)
	}
	return s, nil
}

// create creates a session for a visitor without one, with the present data. It needs the turn.
func (s *Session[T]) create(ctx context.Context, params sessionstore.CreateParams) (sessionstore.TokenPair, error) {
	params.Data = s.current.Load().data
	if params.Client == (sessionstore.Client{}) {
		params.Client = s.guest.Client
	}
	info, pair, err := s.manager.create(ctx, params)
	if err != nil {
		return sessionstore.TokenPair{}, err
	}
	s.becomes(info, pair)
	return pair, nil
}

// Visiting reports whether the session does not exist yet: see [Config].Anonymous.
func (s *Session[T]) Visiting() bool { return *s.id.Load() == uuid.Nil }
