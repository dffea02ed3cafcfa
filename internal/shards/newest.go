package shards

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// newest are the subject's newest live sessions on all shards, the oldest of them first: at least
// as many as it may have and a page more, if there are so many, and at most another page. However many there
// are, one creation ends no more; the next ones end the rest. It also returns the shards that did not
// answer, which always include the subject's home if the subject's lock is held elsewhere. Without a
// holder, the lock is not held.
func (r *Router) newest(ctx context.Context, subject string, holder *shard) (live []sessionstore.Session, missing []int, err error) {
	enough := r.cfg.SessionsPerSubject + sessionstore.DefaultListLimit
	home := r.order(subject)[0]
	lists := make([][]sessionstore.Session, len(r.all))
	limited, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	errs := r.ask(limited, func(ctx context.Context, i int, s *shard) error {
		if s != holder && !s.isUp.Load() || holder != nil && holder != home && s == home {
			return unavailable(errNotUp)
		}
		store, err := s.use()
		for params := (sessionstore.ListParams{}); err == nil && len(lists[i]) < enough; {
			var page sessionstore.Page
			page, err = store.List(ctx, subject, params)
			lists[i] = append(lists[i], page.Sessions...)
			if params.Cursor = page.NextCursor; params.Cursor == "" {
				break
			}
		}
		return err
	})
	for i, err := range errs {
		switch s := r.all[i]; {
		case err == nil:
			live = append(live, lists[i]...)
		case ctx.Err() != nil, !errors.Is(err, sessionstore.ErrUnavailable):
			return nil, nil, fmt.Errorf("shard %q: %w", s.Name, err)
		default:
			missing = append(missing, s.Number)
			if wasNotAsked(err) {
				s.isUp.Store(false)
			}
		}
	}
	slices.SortFunc(live, func(a, b sessionstore.Session) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return live[max(0, len(live)-enough-sessionstore.DefaultListLimit):], missing, nil
}
