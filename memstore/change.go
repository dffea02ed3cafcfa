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
