package memstore

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Invalidate revokes a session and its tokens: see [sessionstore.Store.Invalidate].
func (s *Store) Invalidate(_ context.Context, id uuid.UUID, cause ...sessionstore.Cause) error {
	why, err := s.core.Cause(cause)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[id]
	if r == nil {
		return sessionstore.ErrNotFound
	}
	r.end(why, s.Now())
	return nil
}

// InvalidateSubject revokes all sessions of a subject but keep, and returns how many of them
// were live: see [sessionstore.Store.InvalidateSubject].
func (s *Store) InvalidateSubject(_ context.Context, subject string, keep uuid.UUID, cause ...sessionstore.Cause) (n int64, err error) {
	if err := checkSubject(subject); err != nil {
		return 0, err
	}
	why, err := s.core.Cause(cause)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	for _, r := range s.subjects[subject] {
		if r.session.ID == keep {
			continue
		}
		if s.core.IsLive(r.pair, now) {
			n++
		}
		r.end(why, now)
	}
	return n, nil
}

// SignOutAll ends all sessions: see [sessionstore.Store.SignOutAll].
func (s *Store) SignOutAll(_ context.Context, cause ...sessionstore.Cause) error {
	if len(cause) == 0 {
		cause = []sessionstore.Cause{{Reason: sessionstore.ReasonAllSignedOut}}
	}
	why, err := s.core.Cause(cause)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		r.end(why, s.Now())
	}
	return nil
}

// RevokeToken ends the session of an access or a refresh token: see
// [sessionstore.Store.RevokeToken].
func (s *Store) RevokeToken(ctx context.Context, token string) error {
	claims, err := s.core.Verify(token)
	if err == nil {
		err = s.Invalidate(ctx, claims.SessionID, sessionstore.SignedOut(claims.SessionID))
	}
	if errors.Is(err, tokens.ErrInvalid) || errors.Is(err, sessionstore.ErrNotFound) {
		return nil
	}
	return err
}

func checkSubject(subject string) error {
	if subject == "" {
		return &sessionstore.ArgumentError{Field: "subject", Problem: "must not be empty"}
	}
	return nil
}
