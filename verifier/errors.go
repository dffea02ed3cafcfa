package verifier

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/latchkey-sessions/latchkey/internal/authorization"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Verdicts about a token, in addition to [tokens.ErrInvalid] and the errors below
// it. Test for them with [errors.Is].
var (
	// ErrRevoked says that the token's session has ended; or that the token was superseded,
	// and its client gets another by a refresh.
	ErrRevoked = errors.New("the session was revoked, or its access token superseded")

	// ErrUnavailable says that the token could not be checked. It
	// says nothing about the token: answer 503, not 401.
	ErrUnavailable = errors.New("it is not known at the moment whether the session was revoked")
)

// unavailable is an ErrUnavailable and nothing else, whatever the cause: an error
// must not match two kinds at once.
func unavailable(cause error) error {
	return fmt.Errorf("%w: %v", ErrUnavailable, cause) //nolint:errorlint // see above
}

// Error is the default response to a refused request: 401 with the challenge of RFC
// 6750 §3 for a missing or invalid token, or of RFC 9470 §3 if its user must
// authenticate again; 503 if the token could not be checked, or 499 if the client has
// hung up meanwhile. No response says more than that about a token.
func Error(w http.ResponseWriter, r *http.Request, err error) {
	isInvalid := errors.Is(err, tokens.ErrInvalid) || errors.Is(err, ErrRevoked)
	authorization.Refuse(w, r, err, isInvalid, http.StatusServiceUnavailable)
}
