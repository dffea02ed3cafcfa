package sessionhttp

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// End revokes the request's session, if it has one, and removes the tokens from the client if
// the transport can. It must be called before the response begins. The request need not come
// through [Manager.Handler].
func (m *Manager[T]) End(w http.ResponseWriter, r *http.Request) error {
	s, err := m.present(w, r)
	if err != nil {
		return err
	}
	if s != nil {
		if err := s.End(r.Context()); err != nil {
			return err
		}
	}
	m.hand(r.Context(), w.Header(), m.cfg.Transport.Clear)
	return nil
}

// End revokes the session, and removes the tokens from the client if the transport and the
// response still can. Changes that are not stored yet are given up. The end of ctx does not
// stop it: a client that disconnects is signed out.
func (s *Session[T]) End(ctx context.Context) error {
	ctx, cancel := s.manager.saving(ctx)
	defer cancel()
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.release()
	if err := s.end(ctx, sessionstore.SignedOut(s.Info.ID)); err != nil {
		return err
	}
	s.handed.put(s.manager, s.manager.cfg.Transport.Clear)
	if s.header != nil {
		s.manager.cfg.Transport.Clear(s.header)
	}
	return nil
}

// end revokes the session. It needs the turn.
func (s *Session[T]) end(ctx context.Context, cause sessionstore.Cause) error {
	if s.Info.ID != uuid.Nil {
		if err := s.manager.end(ctx, s.Info.ID, cause); err != nil {
			return err
		}
	}
	s.giveUp()
	s.phase.Store(ended)
	return nil
}
