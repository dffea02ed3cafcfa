package memstore

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// RefreshTokens exchanges a refresh token: see [sessionstore.Store.RefreshTokens].
func (s *Store) RefreshTokens(ctx context.Context, refreshToken string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	return s.RefreshTokensWith(ctx, refreshToken, sessionstore.RefreshOptions{Client: client})
}

// RefreshTokensWithProof is [Store.RefreshTokens] for a client that has proven possession of
// a key: see [sessionstore.Store.RefreshTokensWithProof].
func (s *Store) RefreshTokensWithProof(ctx context.Context, refreshToken, thumbprint string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	return s.RefreshTokensWith(ctx, refreshToken, sessionstore.RefreshOptions{KeyThumbprint: thumbprint, Client: client})
}

// RefreshTokensWith is [Store.RefreshTokens] with options.
func (s *Store) RefreshTokensWith(ctx context.Context, refreshToken string, options sessionstore.RefreshOptions) (sessionstore.Refreshed, error) {
	presented, err := s.core.Present(ctx, refreshToken, options)
	if err != nil {
		return sessionstore.Refreshed{}, err
	}
	d, now, err := s.exchange(presented)
	if err != nil {
		return sessionstore.Refreshed{}, err
	}
	pair, err := s.core.Sign(d.Next, now)
	if err != nil {
		return sessionstore.Refreshed{}, err
	}
	return sessionstore.Refreshed{SessionID: d.Next.SessionID, Outcome: d.Outcome, Pair: pair}, nil
}

// exchange decides, and stores the result.
func (s *Store) exchange(presented sessionstore.Presented) (sessionstore.Decision, time.Time, error) {
	claims := presented.Claims()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	r := s.rows[claims.SessionID]
	if r == nil || r.pair.ID != claims.TokenID {
		return sessionstore.Decision{}, now, sessionstore.ErrNotFound
	}
	d, err := s.core.Exchange(r.pair, presented, now)
	if theft, ok := errors.AsType[*sessionstore.ReuseError](err); ok {
		r.end(sessionstore.Cause{Reason: sessionstore.ReasonTheft, By: string(theft.Theft)}, now)
	}
	if err != nil {
		return d, now, err
	}
	if d.Next.MintedAt() != r.pair.MintedAt() || d.Next.BoundTo != r.pair.BoundTo || d.Next.AccessGeneration != r.pair.AccessGeneration {
		r.session.LastClient = presented.Client()
	}
	r.pair = d.Next
	return d, now, nil
}
