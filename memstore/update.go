package memstore

import (
	"bytes"
	"context"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Update replaces a session's data and returns the new checksum: see [sessionstore.Store.Update].
func (s *Store) Update(_ context.Context, id uuid.UUID, checksum string, data []byte) (string, error) {
	next, err := sessionstore.Checksum(data)
	if err != nil || next == checksum {
		return next, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	switch r := s.rows[id]; {
	case r == nil:
		return "", sessionstore.ErrNotFound
	case !s.core.IsLive(r.pair, now):
		return "", sessionstore.ErrEnded
	case r.session.Checksum != checksum:
		return "", &sessionstore.ConflictError{Checksum: r.session.Checksum}
	default:
		r.session.Data, r.session.Checksum, r.session.UpdatedAt = bytes.Clone(data), next, now
		return next, nil
	}
}
