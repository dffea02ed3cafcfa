package sessionhttp

import (
	"net/http"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// RequireAuthentication returns a wrapper for handlers below [Manager.Handler]: it
// serves requests whose user has authenticated as required, and passes the others to
// [Config].OnError with a [tokens.AuthenticationError], which [Error] answers with the
// challenge of RFC 9470. The age of an authentication is judged by the store's clock, if
// it has a method Now like [sessionstore.Store.Now], or else by this machine's. It fails
// for a requirement that no challenge can state.
func (m *Manager[T]) RequireAuthentication(required tokens.Requirement) (func(http.Handler) http.Handler, error) {
	if err := required.Validate(); err != nil {
		return nil, err
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err := ErrNoToken
			if session := m.From(r.Context()); session != nil && !session.Visiting() {
				err = required.Check(session.Claims, m.now())
			}
			if err != nil {
				m.cfg.OnError(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}, nil
}
