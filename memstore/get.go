package memstore

import (
	"context"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Get is [Store.GetWith] without options.
func (s *Store) Get(ctx context.Context, accessToken string) (sessionstore.Session, tokens.Claims, error) {
	return s.GetWith(ctx, accessToken, sessionstore.GetOptions{})
}

// GetWith verifies an access token and loads its session: see [sessionstore.Store.GetWith].
func (s *Store) GetWith(_ context.Context, accessToken string, options sessionstore.GetOptions) (sessionstore.Session, tokens.Claims, error) {
	fail := func(err error) (sessionstore.Session, tokens.Claims, error) {
		return sessionstore.Session{}, tokens.Claims{}, err
	}
	claims, err := s.core.VerifyAccess(accessToken)
	if err != nil {
		return fail(err)
	}
	found, session, err := s.find(claims)
	if err != nil {
		return fail(err)
	}
	now := s.Now()
	isFirstUse, err := s.core.CheckAccess(claims, found, now, options) // without the lock: Check is the caller's code
	if err != nil {
		return fail(err)
	}
	if isFirstUse {
		s.confirm(found)
	}
	return session, claims, nil
}

// find returns a token's stored pair and session.
func (s *Store) find(claims tokens.Claims) (sessionstore.Pair, sessionstore.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[claims.SessionID]
	if r == nil || r.pair.ID != claims.TokenID {
		return sessionstore.Pair{}, sessionstore.Session{}, sessionstore.ErrNotFound
	}
	return r.pair, s.view(r, s.Now()), nil
}

// confirm notes that a pair was seen in use, unless another has replaced it.
func (s *Store) confirm(seen sessionstore.Pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rows[seen.SessionID]; r != nil && r.pair == seen {
		r.pair.ConfirmedAt = s.Now()
	}
}

// Load returns a session by its id, including an ended one until it is dropped.
func (s *Store) Load(_ context.Context, id uuid.UUID) (sessionstore.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[id]
	if r == nil {
		return sessionstore.Session{}, sessionstore.ErrNotFound
	}
	return s.view(r, s.Now()), nil
}
