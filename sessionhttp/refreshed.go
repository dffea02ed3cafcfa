package sessionhttp

import (
	"context"
	"net/http"

	"github.com/latchkey-sessions/latchkey/internal/authorization"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// refreshedKey leads to the access token that was made for a request on its way.
type refreshedKey struct{}

// Refreshed is a copy of the request with the access token of a pair that the program
// itself got by a refresh, while it serves this very request. [Manager.Handler] checks
// the token as strictly as ever, but leaves open whether the client has the pair: an
// answer that is given up takes the cookies with it, and the client's next refresh, with
// the token that it still has, would look like a theft. The next request, which
// brings the token from its cookie, is the client's own use.
//
// For the refresh that goes before it see docs/holders.md.
func Refreshed(r *http.Request, accessToken tokens.Secret) *http.Request {
	r = r.Clone(context.WithValue(r.Context(), refreshedKey{}, accessToken))
	r.Header.Set("Authorization", authorization.Bearer+" "+string(accessToken))
	return r
}

// isRefreshed reports whether [Refreshed] put the token into the request.
func isRefreshed(r *http.Request, token string) bool {
	refreshed, ok := r.Context().Value(refreshedKey{}).(tokens.Secret)
	return ok && string(refreshed) == token
}
