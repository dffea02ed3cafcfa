package shards

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// InvalidateSubject is [sessionstore.Store.InvalidateSubject] on all shards at once. Where one
// cannot be reached, the sessions on the others have ended, the error is
// [sessionstore.ErrUnavailable], and the rest end when the shard is back: see
// [Router.doNoted].
func (r *Router) InvalidateSubject(ctx context.Context, subject string, keep uuid.UUID, cause ...sessionstore.Cause) (int64, error) {
	ended := make([]int64, len(r.all))
	errs := r.ask(ctx, func(ctx context.Context, i int, s *shard) error {
		store, err := s.use()
		if err == nil {
			ended[i], err = store.InvalidateSubject(ctx, subject, keep, cause...)
		}
		return err
	})
	var n int64
	for _, some := range ended {
		n += some
	}
	var failed []error
	for i, err := range errs {
		switch {
		case err == nil:
		case !errors.Is(err, sessionstore.ErrUnavailable):
			return n, err // of the arguments, which all shards refuse
		default:
			s := r.all[i]
			failed = append(failed, fmt.Errorf("shard %q: %w", s.Name, err))
			if err := r.noteSignOut(ctx, signOut{shard: s.Number, subject: subject, keep: keep, cause: causeOf(cause)}); err != nil {
				failed = append(failed, fmt.Errorf("it is not finished when the shard is back: %w", err))
			}
		}
	}
	return n, errors.Join(failed...)
}

// causeOf is what the store makes of the cause that a caller may leave out.
func causeOf(given []sessionstore.Cause) sessionstore.Cause {
	if len(given) == 0 {
		return sessionstore.Cause{Reason: sessionstore.ReasonBackend}
	}
	return given[0]
}

// SignOutAll is [sessionstore.Store.SignOutAll] on all shards at once. Where one cannot be reached,
// those with sessions on the others are signed out, the error is [sessionstore.ErrUnavailable], and the rest
// is done when the shard is back: see [Router.doNoted].
func (r *Router) SignOutAll(ctx context.Context, cause ...sessionstore.Cause) error {
	var failed []error
	for i, err := range r.ask(ctx, func(ctx context.Context, _ int, s *shard) error {
		store, err := s.use()
		if err != nil {
			return err
		}
		return store.SignOutAll(ctx, cause...)
	}) {
		switch {
		case err == nil:
		case !errors.Is(err, sessionstore.ErrUnavailable):
			return err // of the arguments, which all shards refuse
		default:
			s := r.all[i]
			failed = append(failed, fmt.Errorf("shard %q: %w", s.Name, err))
			why := sessionstore.Cause{Reason: sessionstore.ReasonAllSignedOut}
			if len(cause) > 0 {
				why = cause[0]
			}
			if err := r.noteSignOut(ctx, signOut{shard: s.Number, subject: everyone, cause: why}); err != nil {
				failed = append(failed, fmt.Errorf("it is not finished when the shard is back: %w", err))
			}
		}
	}
	return errors.Join(failed...)
}

// TellsEvents is [sessionstore.Store.TellsEvents] for any shard.
func (r *Router) TellsEvents(ctx context.Context) (bool, error) {
	does := make([]bool, len(r.all))
	err := r.askStores(ctx, func(ctx context.Context, i int, store *sessionstore.Store) (err error) {
		does[i], err = store.TellsEvents(ctx)
		return err
	})
	return slices.Contains(does, true), err
}

// RevokeSignedOut is [sessionstore.Store.RevokeSignedOut] on one shard after the other.
func (r *Router) RevokeSignedOut(ctx context.Context, progress func(revoked int64)) (n int64, err error) {
	for _, s := range r.all {
		store, err := s.use()
		if err != nil {
			return n, fmt.Errorf("shard %q: %w", s.Name, err)
		}
		some, err := store.RevokeSignedOut(ctx, func(revoked int64) {
			if progress != nil {
				progress(n + revoked)
			}
		})
		if n += some; err != nil {
			return n, fmt.Errorf("shard %q: %w", s.Name, err)
		}
	}
	return n, nil
}
