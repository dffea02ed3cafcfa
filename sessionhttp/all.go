package sessionhttp

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// All iterates over every live session of a subject, or of all subjects if that is empty, newest first,
// each as [Manager.Load] returns it. A session that ends meanwhile is left out. One whose data does not
// decode gives a [DataError] in its place, and its id is logged; any other error ends the iteration.
//
// A session is loaded only when its turn comes, so iterating over very many takes a while. The
// store must have a method Find as [sessionstore.Store.Find] is, or the error is
// [errors.ErrUnsupported].
func (m *Manager[T]) All(ctx context.Context, subject string) iter.Seq2[*Session[T], error] {
	return func(yield func(*Session[T], error) bool) {
		store, can := m.store.(interface {
			Find(ctx context.Context, params sessionstore.FindParams) (sessionstore.Page, error)
		})
		if !can {
			yield(nil, fmt.Errorf("finding sessions: %w", errors.ErrUnsupported))
			return
		}
		params := sessionstore.FindParams{Subject: subject}
		for {
			page, err := store.Find(ctx, params)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, found := range page.Sessions {
				s, err := m.Load(ctx, found.ID)
				if errors.Is(err, sessionstore.ErrNotFound) || errors.Is(err, sessionstore.ErrEnded) {
					continue
				}
				_, undecodable := errors.AsType[*DataError](err)
				if !yield(s, err) || err != nil && !undecodable {
					return
				}
			}
			if params.Cursor = page.NextCursor; params.Cursor == "" {
				return
			}
		}
	}
}
