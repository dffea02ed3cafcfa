package sessionhttp

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Renew puts a new session in place of this one, which ends, or begins a visitor's: call it when a user signs
// in, or gets more rights in another way, before the response begins. The response hands the pair to the
// client where the manager's transport does that, even if it is an error; else the handler does, as at a
// sign-in without a session before it. The tokens that the request came with are refused from now on, even in
// requests that are under way.
//
// From then on this is the new session, and [Session.Info] with it. It keeps the data, with
// all changes, instead of which params cannot give others; and
// its subject and label where params have none. It is bound to the key that the request has proven
// to have, if to any, unless params name another. For the rest see [sessionstore.Store.Replace]. Claims
// stay those of the access token that the request came with.
//
// Where ctx has ended, nobody waits for the pair, and nothing is done: the error is [ErrDiscarded].
// After that its end stops nothing. Conflicts with other requests are resolved as [Session.Update]
// says. The error is [sessionstore.ErrConflict] where that fails, [sessionstore.ErrEnded]
// where the session has ended, and [ErrBegun] where the response has begun. With an error nothing
// has changed, and changes continue waiting for the response.
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
		// What is stored goes along as it is, with members that T does not have. It is given,
		// for a store that seals it, and has to be the same still.
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
		s.stored = before // which the changes were made of
		return sessionstore.TokenPair{}, err
	}
	s.becomes(info, pair)
	return pair, nil
}
