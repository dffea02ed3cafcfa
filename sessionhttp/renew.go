package sessionhttp

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Renew puts a new session in place of this one, which ends, or begins a visitor's session: call it when a
// user signs in, or gains rights in another way, before the response begins. The response hands the pair to
// the client if the manager's transport does that, even if it is an error; otherwise the handler must, as at
// a sign-in without an earlier session. The tokens that the request came with are refused from now on, even
// in requests that are under way.
//
// From then on this is the new session, and [Session.Info] with it. It keeps the data, with
// all changes, which params cannot replace; and its subject and label where params have none. It is
// bound to the key of which the request proved possession, if any, unless params name another. For the
// rest see [sessionstore.Store.Replace]. Claims stay those of the access token that the request came
// with.
//
// If ctx has already ended, no client is waiting for the pair, and nothing is done: the error is
// [ErrDiscarded]. If it ends later, that stops nothing. Conflicts with other requests are resolved
// as [Session.Update] says. The error is [sessionstore.ErrConflict] if that fails,
// [sessionstore.ErrEnded] if the session has ended, and [ErrBegun] if the response has begun. With
// an error nothing has changed, and changes still wait for the response.
func (s *Session[T]) Renew(ctx context.Context, params sessionstore.CreateParams) (sessionstore.TokenPair, error) {
	if err := context.Cause(ctx); err != nil {
		return sessionstore.TokenPair{}, fmt.Errorf("%w: %w", ErrDiscarded, err)
	}
	ctx, cancel := s.manager.saving(ctx)
	defer cancel()
	if err := s.take(ctx); err != nil {
		return sessionstore.TokenPair{}, err
	}
	defer s.release()
	if err := s.refusal(); err != nil {
		return sessionstore.TokenPair{}, err
	}
	if s.phase.Load() == direct && !s.alone {
		return sessionstore.TokenPair{}, ErrBegun
	}
	if s.Info.ID == uuid.Nil {
		return s.create(ctx, params)
	}
	params = s.manager.own(params)
	params.KeyThumbprint = cmp.Or(params.KeyThumbprint, s.Claims.KeyThumbprint)
	params.Subject = cmp.Or(params.Subject, s.Info.Subject) // which stays: the store need not read it
	var info sessionstore.Session
	var pair sessionstore.TokenPair
	before := s.stored
	err := s.settle(ctx, func(next *version[T]) error {
		// The stored data is kept unchanged, including members that T does not have. It is
		// passed along for a store that seals data, and must still be the same.
		params.Data = s.stored.data
		if len(s.changes) > 0 {
			params.Data = next.data
		}
		var err error
		info, pair, err = s.manager.store.Replace(ctx, sessionstore.Replaced{SessionID: s.Info.ID, Checksum: s.stored.checksum}, params)
		return err
	})
	if errors.Is(err, sessionstore.ErrNotReplaceable) {
		err = fmt.Errorf("%w: %w", sessionstore.ErrEnded, err)
	}
	if err != nil {
		s.stored = before // on which the changes were based
		return sessionstore.TokenPair{}, err
	}
	s.becomes(info, pair)
	return pair, nil
}
