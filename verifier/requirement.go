package verifier

import (
	"net/http"

	"github.com/latchkey-sessions/latchkey/internal/authorization"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// RequireAuthentication returns a wrapper for handlers below [Verifier.Handler]: it
// serves requests whose user has authenticated as required, and passes the others to
// [Config].OnError with a [tokens.AuthenticationError], which [Error] answers with the
// challenge of RFC 9470. The age of an authentication is judged by the database's clock,
// if its time is known. It fails for a requirement that no challenge can state.
func (v *Verifier) RequireAuthentication(required tokens.Requirement) (func(http.Handler) http.Handler, error) {
	if err := required.Validate(); err != nil {
		return nil, err
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err := authorization.ErrNoToken
			if claims, ok := r.Context().Value(contextKey{}).(*tokens.Claims); ok {
				err = required.Check(*claims, v.set.clock.time())
			}
			if err != nil {
				v.cfg.OnError(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}, nil
}
