package shards

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// InvalidateSubject is [sessionstore.Store.InvalidateSubject] on all shards at once. Where one
// cannot be reached, the sessions on the others have ended, the error is
// [sessionstore.ErrUnavailable], and the rest end when the shard is back: see
// [Router.finishSignOuts].
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

// InvalidateAll is [sessionstore.Store.InvalidateAll] on one shard after the other.
func (r *Router) InvalidateAll(ctx context.Context, progress func(revoked int64), cause ...sessionstore.Cause) (n int64, err error) {
	for _, s := range r.all {
		store, err := s.use()
		if err != nil {
			return n, fmt.Errorf("shard %q: %w", s.Name, err)
		}
		some, err := store.InvalidateAll(ctx, func(revoked int64) {
			if progress != nil {
				progress(n + revoked)
			}
		}, cause...)
		if n += some; err != nil {
			return n, fmt.Errorf("shard %q: %w", s.Name, err)
		}
	}
	return n, nil
}
