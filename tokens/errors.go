package tokens

import (
	"errors"
	"fmt"
)

var (
	// ErrInvalid says that a token does not verify. It is the parent of every
	// error that [Verifier.Verify] returns, but for [ErrKeysUnavailable].
	ErrInvalid = errors.New("token is not valid")

	// ErrExpired says that a token would be valid, had its time not passed.
	ErrExpired = fmt.Errorf("%w: expired", ErrInvalid)

	// ErrNotValidYet says that a token would be valid, had its time come. None of
	// ours has an nbf.
	ErrNotValidYet = fmt.Errorf("%w: not valid yet", ErrInvalid)

	// ErrUnknownKey says that a token could be ours, but that no key of the ring has
	// signed it: the keys are others than they were, or it is forged.
	ErrUnknownKey = fmt.Errorf("%w: not signed by a key of the ring", ErrInvalid)

	// ErrWrongIssuer says that a token was signed by a key of the ring for another
	// issuer, whose audience is often another one as well.
	ErrWrongIssuer = fmt.Errorf("%w: of another issuer", ErrInvalid)

	// ErrWrongAudience says that a token of ours is for another resource server.
	ErrWrongAudience = fmt.Errorf("%w: for another audience", ErrInvalid)

	// ErrWrongType says that a token of ours was used in the other one's
	// place: a refresh token as an access token, or the reverse.
	ErrWrongType = fmt.Errorf("%w: the wrong type of token", ErrInvalid)

	// ErrTooLarge says that a token was refused unread for its length.
	ErrTooLarge = fmt.Errorf("%w: longer than %d bytes", ErrInvalid, MaxTokenBytes)

	// ErrKeysUnavailable says nothing about a token: it may have been signed by a
	// key that the ring does not have yet, and there is no telling. It is no
	// [ErrInvalid], and is returned only where [Config].MissingKey is set.
	ErrKeysUnavailable = errors.New("the keys to verify the token with are not available")

	// errNoSuchKey is the [ErrUnknownKey] that a newer ring may take back.
	errNoSuchKey = fmt.Errorf("%w: none has its header", ErrUnknownKey)
)
