package sessionhttp

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// All is every live session of a subject, or of everybody where that is empty, newest first,
// each as [Manager.Load] returns it. A session that ends meanwhile is left out. One whose data does not
// decode is a [DataError] in its place, and the log has its id; every other error is the last.
//
// A session is loaded when its turn comes: of very many that takes its time. The store must have a
// method Find as [sessionstore.Store.Find] is, or the error is [errors.ErrUnsupported].
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
