package memstore

import (
	"context"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Patch changes a live session's lifetimes and label: see [sessionstore.Store.Patch].
func (s *Store) Patch(_ context.Context, id uuid.UUID, patch sessionstore.Patch) (sessionstore.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	r := s.rows[id]
	if r == nil {
		return sessionstore.Session{}, sessionstore.ErrNotFound
	}
	pair, session, err := s.core.Patch(r.pair, r.session, patch, now)
	if err != nil {
		return sessionstore.Session{}, err
	}
	r.pair, r.session = pair, session
	return s.summary(r, now), nil
}
