package sessionhttp

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Extend gives the session its own lifetimes, counted from now, longer or shorter: see
// [sessionstore.Store.Patch], whose errors it returns. Zero members stay unchanged. Cookies last as long
// from the next refresh on. The session of a visitor who has changed nothing does not exist yet, so the
// error is [sessionstore.ErrNotFound]. The store must have a method Patch like that one, or the error is
// [errors.ErrUnsupported].
func (s *Session[T]) Extend(ctx context.Context, lifetimes sessionstore.Lifetimes) error {
	store, can := s.manager.store.(interface {
		Patch(ctx context.Context, id uuid.UUID, patch sessionstore.Patch) (sessionstore.Session, error)
	})
	if !can {
		return fmt.Errorf("extending a session: %w", errors.ErrUnsupported)
	}
	ctx, cancel := s.manager.saving(ctx)
	defer cancel()
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.release()
	info, err := store.Patch(ctx, s.Info.ID, sessionstore.Patch{Lifetimes: lifetimes})
	if err != nil {
		return err
	}
	s.Info.ExpiresAt = info.ExpiresAt
	return nil
}
