package sessionhttp

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Open returns the session of a request that does not come through [Manager.Handler], with the
// errors that Handler passes to [Config].OnError. Each change is stored at once, like those of
// [Manager.Load], and new tokens are put into w's header at once: change and renew
// the session before the response begins.
//
// If [Config].Optional lets a request without a session pass, the session is nil, or
// that of [Config].Anonymous. For a request that does come through Handler, it is that
// of [Manager.From].
func (m *Manager[T]) Open(w http.ResponseWriter, r *http.Request) (*Session[T], error) {
	if s := m.From(r.Context()); s != nil {
		return s, nil
	}
	m.vary(w.Header())
	s, err := m.find(w, r)
	if err != nil || s == nil {
		return nil, err
	}
	if s.pair != nil {
		m.hand(r.Context(), w.Header(), m.handOver(*s.pair))
	}
	s.header = w.Header()
	s.standAlone()
	return s, nil
}

// Load returns the session with the given id, for work without a request. Each change is stored at
// once, even after conflicts, and Update returns the outcome; [Session.Renew] returns the pair for
// the client that should have it. The session has no access token claims. Errors are those of
// [sessionstore.Store.Load], and [sessionstore.ErrEnded] for a session that has ended.
func (m *Manager[T]) Load(ctx context.Context, id uuid.UUID) (*Session[T], error) {
	info, err := m.store.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	if m.isOthers(info.ClientID, info.Cookie) {
		return nil, sessionstore.ErrNotFound
	}
	if !info.Ended.At.IsZero() {
		return nil, sessionstore.ErrEnded
	}
	s, err := m.session(ctx, info, tokens.Claims{})
	if err != nil {
		return nil, err
	}
	s.standAlone()
	return s, nil
}

func (s *Session[T]) standAlone() {
	s.alone = true
	s.phase.Store(direct)
}
