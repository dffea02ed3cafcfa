// Package sessionerr has the errors that a store shares with its parts, and with the service's
// client.
package sessionerr

import (
	"errors"
	"fmt"
)

// States of a session or a token: see package sessionstore, which exports them.
var (
	ErrNotFound             = errors.New("no such session")
	ErrEnded                = errors.New("the session has ended")
	ErrTooManySessions      = errors.New("the subject already has the largest number of live sessions that is allowed")
	ErrIdempotencyKeyReused = errors.New("the idempotency key belongs to another creation")
	ErrNotReplaceable       = errors.New("the session to replace has ended or is unknown")
	ErrSuperseded           = errors.New("a newer access token was issued")
	ErrConflict             = errors.New("the session data has changed in the meantime")
	ErrInvalidArgument      = errors.New("invalid argument")
	ErrUnavailable          = errors.New("the session database is unavailable")
)

// Unavailable wraps an error of the database.
func Unavailable(operation string, err error) error {
	return fmt.Errorf("%s: %w: %w", operation, ErrUnavailable, err)
}
