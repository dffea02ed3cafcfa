package sessionhttp

import (
	"context"
	"net/http"

	"github.com/latchkey-sessions/latchkey/internal/authorization"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// refreshedKey is the context key of an access token that was made while a request was
// under way.
type refreshedKey struct{}

// Refreshed returns a copy of the request with the access token of a pair that the
// program itself got by a refresh while serving this request. [Manager.Handler] checks
// the token as strictly as usual, but does not record that the client has the pair: if
// the response is lost, so are its cookies, and the client's next refresh, with
// the token that it still has, would look like a theft. The next request, which
// brings the token from its cookie, is the client's own use.
//
// For the refresh that precedes it, see docs/holders.md.
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
