// Package authorization reads a request's Authorization header (RFC 6750 §2.1, RFC 9449 §7.1).
package authorization

import (
	"errors"
	"net/http"
	"strings"

	"github.com/latchkey-sessions/latchkey/dpop"
)

// The errors are about a request, not about a token.
var (
	ErrNoToken   = errors.New("no bearer token")
	ErrMalformed = errors.New("the Authorization header is not one bearer token")
)

// Bearer is the scheme of a token that is not bound to a key.
const Bearer = "Bearer"

// Token returns the token of the header and its scheme, [Bearer] or [dpop.Scheme]. It does not look at the token itself.
func Token(r *http.Request) (scheme, token string, err error) {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return "", "", ErrNoToken
	}
	scheme, token, _ = strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	switch {
	case len(values) > 1 || token == "":
		return "", "", ErrMalformed
	case strings.EqualFold(scheme, Bearer):
		return Bearer, token, nil
	case strings.EqualFold(scheme, dpop.Scheme):
		return dpop.Scheme, token, nil
	}
	return "", "", ErrMalformed
}
