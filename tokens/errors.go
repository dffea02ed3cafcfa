package tokens

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxTokenBytes is the length above which a token is refused before any of it is parsed. The
// longest token that this package signs is shorter, even with the longest configuration, subject
// and claims allowed, so no token is too long to sign.
const MaxTokenBytes = 12 << 10

var (
	// ErrInvalid says that a token does not verify. It is the parent of every
	// error that [Verifier.Verify] returns, except [ErrKeysUnavailable].
	ErrInvalid = errors.New("token is not valid")

	// ErrExpired says that a token has expired, and is otherwise valid.
	ErrExpired = fmt.Errorf("%w: expired", ErrInvalid)

	// ErrNotValidYet says that a token is not valid yet, and is otherwise valid.
	// None of our tokens has an nbf.
	ErrNotValidYet = fmt.Errorf("%w: not valid yet", ErrInvalid)

	// ErrUnknownKey says that a token could be ours, but was not signed by any key
	// of the ring: either the keys have changed, or it is forged.
	ErrUnknownKey = fmt.Errorf("%w: not signed by a key of the ring", ErrInvalid)

	// ErrWrongIssuer says that a token was signed by a key of the ring for another
	// issuer, whose audience often differs as well.
	ErrWrongIssuer = fmt.Errorf("%w: of another issuer", ErrInvalid)

	// ErrWrongAudience says that a token of ours is for another resource server.
	ErrWrongAudience = fmt.Errorf("%w: for another audience", ErrInvalid)

	// ErrWrongType says that one of our tokens was used in place of the
	// other kind: a refresh token as an access token, or the reverse.
	ErrWrongType = fmt.Errorf("%w: the wrong type of token", ErrInvalid)

	// ErrTooLarge says that a token was refused unread because of its length.
	ErrTooLarge = fmt.Errorf("%w: longer than %d bytes", ErrInvalid, MaxTokenBytes)

	// ErrKeysUnavailable says nothing about a token, which may have been signed
	// by a key that the ring does not have yet. It is not an [ErrInvalid], and is
	// returned only if [Config].MissingKey is set.
	ErrKeysUnavailable = errors.New("the keys to verify the token with are not available")

	// errNoSuchKey is an [ErrUnknownKey] that a newer ring may resolve.
	errNoSuchKey = fmt.Errorf("%w: none has its header", ErrUnknownKey)
)

// CustomError says what is wrong with claims, and what is allowed. It contains
// none of their values.
type CustomError struct {
	// Pointer is the JSON pointer of the member; empty for the claims as a whole.
	Pointer string
	Problem string
}

func (e *CustomError) Error() string {
	if e.Pointer == "" {
		return e.Problem
	}
	return e.Pointer + ": " + e.Problem
}

func customError(pointer jsontext.Pointer, format string, args ...any) error {
	return &CustomError{Pointer: string(pointer), Problem: fmt.Sprintf(format, args...)}
}
