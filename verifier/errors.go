package verifier

import "errors"

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
