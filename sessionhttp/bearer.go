package sessionhttp

import (
	"errors"
	"net/http"
	"strings"
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
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", ErrNoToken
	}
	scheme, token, found := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || !found {
		return "", ErrMalformed
	}
	token = strings.TrimLeft(token, " ")
	if token == "" || strings.ContainsAny(token, " \t,") {
		return "", ErrMalformed
	}
	return token, nil
}
