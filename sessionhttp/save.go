package sessionhttp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// patience bounds how long a change that conflicted with another one waits. On
// average that is the time of a few database queries, so that one of many gets
// through.
const patience = 20 * time.Millisecond

// begin decides what happens to the changes, now that a response begins with the given
// status. Whatever the error, answer hands new tokens over, if there are some.
func (s *Session[T]) begin(ctx context.Context, status int) (answer func(http.Header), err error) {
	late := errors.Is(ctx.Err(), context.DeadlineExceeded)
	ctx, cancel := s.manager.saving(ctx)
	defer cancel()
	if err := s.take(ctx); err != nil {
		s.discard()
		// The holder of the turn may renew the session: then its present tokens would soon be
		// invalid.
		return nil, s.logged(ctx, err)
	}
	defer s.release()
	switch lost := len(s.changes) > 0; {
	case !late && status < http.StatusInternalServerError:
		if err = s.save(ctx); err != nil {
			s.discard()
		}
		s.phase.CompareAndSwap(waiting, direct)
	default:
		s.giveUp()
		s.discard()
		if late && lost {
			err = s.logged(ctx, fmt.Errorf("%w: %w", ErrDiscarded, context.DeadlineExceeded))
		}
	}
	return s.answer(ctx), err
}

// discard refuses further changes, and drops those that are not stored.
func (s *Session[T]) discard() {
	if s.phase.Load() != ended {
		s.phase.Store(discarded)
	}
}

// save stores the changes, or gives them up. It needs the turn.
func (s *Session[T]) save(ctx context.Context) error {
	if len(s.changes) == 0 {
		return nil
	}
	if s.Info.ID == uuid.Nil {
		_, err := s.create(ctx, s.guest)
		if err != nil {
			s.giveUp()
			err = s.logged(ctx, err)
		}
		return err
	}
	err := s.settle(ctx, func(next *version[T]) error {
		checksum, err := s.manager.store.Update(ctx, s.Info.ID, s.stored.checksum, next.data)
		if err == nil {
			s.stored = &version[T]{data: next.data, checksum: checksum}
		}
		return err
	})
	if err != nil {
		s.giveUp()
		return s.logged(ctx, err)
	}
	s.changes = nil
	s.current.Store(s.stored)
	return nil
}

// settle stores the changes on top of what others have changed: it calls store with the changed
// data, again after each conflict.
func (s *Session[T]) settle(ctx context.Context, store func(next *version[T]) error) error {
	next := s.current.Load()
	var conflict error
	// A conflict that took all the time is not an outage.
	reason := func(err error) error {
		if conflict != nil && ctx.Err() != nil {
			return conflict
		}
		return err
	}
	for {
		err := store(next)
		if err == nil {
			return nil
		}
		if !errors.Is(err, sessionstore.ErrConflict) {
			return reason(err)
		}
		conflict = err
		select {
		case <-time.After(rand.N(patience)): //nolint:gosec // not a secret
		case <-ctx.Done():
			return conflict
		}
		info, err := s.manager.store.Load(ctx, s.Info.ID)
		if err != nil {
			return reason(err)
		}
		s.stored, err = s.manager.open(ctx, info)
		if _, undecodable := errors.AsType[*DataError](err); undecodable {
			return fmt.Errorf("%w, and its data is of another shape: %w", conflict, err)
		}
		if err != nil {
			return err
		}
		if next, err = s.again(); err != nil {
			return err
		}
	}
}

// again applies the changes to what is stored now.
func (s *Session[T]) again() (*version[T], error) {
	next := s.stored
	for _, f := range s.changes {
		var err error
		if next, err = next.change(f); err != nil {
			return nil, fmt.Errorf("%w, and the change does not apply to it: %w", sessionstore.ErrConflict, err)
		}
	}
	return next, nil
}

// logged logs lost changes: whether anyone else learns of them depends on who is still
// listening.
func (s *Session[T]) logged(ctx context.Context, err error) error {
	s.manager.cfg.Logger.ErrorContext(ctx, "session data was not stored",
		"session_id", s.id.Load().String(), "error", err.Error())
	return err
}

// answer hands over the session's new tokens, or is nil if there are none. It needs the turn.
func (s *Session[T]) answer(ctx context.Context) func(http.Header) {
	if s.pair == nil || s.phase.Load() == ended || s.late(ctx) {
		return nil
	}
	return s.manager.handOver(*s.pair)
}

// late reports whether the pair of a refresh may overwrite newer tokens in the browser, which it got
// while this response was under way: of the same session, or of another that a login made in its
// place. Without the pair the browser sends what it has: the old one can still be refreshed.
func (s *Session[T]) late(ctx context.Context) bool {
	if s.refreshed.IsZero() {
		return false // only this response has them
	}
	if time.Since(s.refreshed) > s.pair.ExpiresIn()/2 {
		return true
	}
	_, _, err := s.manager.store.GetWith(ctx, string(s.pair.AccessToken), sessionstore.GetOptions{Unconfirmed: true})
	return err != nil
}
