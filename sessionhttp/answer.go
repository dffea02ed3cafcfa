package sessionhttp

import (
	"context"
	"net/http"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

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
