package memstore

import (
	"context"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// SetClaims replaces a live session's own claims: see [sessionstore.Store.SetClaims].
func (s *Store) SetClaims(_ context.Context, id uuid.UUID, checksum string, claims []byte, options sessionstore.SetClaimsOptions) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[id]
	if r == nil {
		return "", sessionstore.ErrNotFound
	}
	pair, next, err := s.core.SetClaims(r.pair, checksum, claims, options, s.Now())
	if err != nil {
		return "", err
	}
	r.pair = pair
	return next, nil
}

// LoadClaims returns a session's own claims and their checksum: see
// [sessionstore.Store.LoadClaims].
func (s *Store) LoadClaims(_ context.Context, id uuid.UUID) (claims []byte, checksum string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[id]
	if r == nil {
		return nil, "", sessionstore.ErrNotFound
	}
	return s.core.Claims(r.pair)
}
