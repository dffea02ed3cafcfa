package sessionhttp

import (
	"errors"
	"net/http"
	"strings"

	"github.com/latchkey-sessions/latchkey/dpop"
)

var (
	// ErrNoToken says that a request carries no bearer token.
	ErrNoToken = errors.New("no bearer token")
	// ErrMalformed says that a request has an Authorization header that is not
	// one bearer token.
	ErrMalformed = errors.New("the Authorization header is not one bearer token")
)

// BearerToken returns the token of the request's Authorization header (RFC
// 6750 §2.1), [ErrNoToken] or [ErrMalformed]. Tokens in a form or a query
// string are not looked at: they end up in logs (RFC 9700 §4.3.2).
func BearerToken(r *http.Request) (string, error) {
	scheme, token, err := AccessToken(r)
	if err == nil && scheme != bearerScheme {
		return "", ErrMalformed
	}
	return token, err
}

const bearerScheme = "Bearer"

// AccessToken is [BearerToken] for a token that may also be bound to a key: its
// scheme is Bearer, or [dpop.Scheme] (RFC 9449 §7.1), which a proof belongs to.
func AccessToken(r *http.Request) (scheme, token string, err error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", "", ErrNoToken
	}
	scheme, token, found := strings.Cut(values[0], " ")
	switch {
	case len(values) > 1 || !found:
		return "", "", ErrMalformed
	case strings.EqualFold(scheme, bearerScheme):
		scheme = bearerScheme
	case strings.EqualFold(scheme, dpop.Scheme):
		scheme = dpop.Scheme
	default:
		return "", "", ErrMalformed
	}
	token = strings.TrimLeft(token, " ")
	if token == "" || strings.ContainsAny(token, " \t,") {
		return "", "", ErrMalformed
	}
	return scheme, token, nil
}
