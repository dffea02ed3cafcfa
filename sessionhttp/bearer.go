package sessionhttp

import (
	"net/http"
	"strings"

	"github.com/latchkey-sessions/latchkey/internal/authorization"
)

var (
	// ErrNoToken says that a request carries no bearer token.
	ErrNoToken = authorization.ErrNoToken
	// ErrMalformed says that a request has an Authorization header that is not
	// one bearer token.
	ErrMalformed = authorization.ErrMalformed
)

// BearerToken returns the token of the request's Authorization header (RFC
// 6750 §2.1), [ErrNoToken] or [ErrMalformed]. Tokens in a form or a query
// string are ignored: they end up in logs (RFC 9700 §4.3.2).
func BearerToken(r *http.Request) (string, error) {
	scheme, token, err := AccessToken(r)
	if err == nil && scheme != authorization.Bearer {
		return "", ErrMalformed
	}
	return token, err
}

// AccessToken is [BearerToken] for a token that may also be bound to a key: its
// scheme is Bearer, or [dpop.Scheme] (RFC 9449 §7.1), which requires a proof.
func AccessToken(r *http.Request) (scheme, token string, err error) {
	scheme, token, err = authorization.Token(r)
	if strings.ContainsAny(token, " \t,") {
		return "", "", ErrMalformed
	}
	return scheme, token, err
}
