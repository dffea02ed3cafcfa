// Package sessionerr has the errors that a store and what it is built from share.
package sessionerr

import (
	"errors"
	"fmt"
)

// States of a session or a token: see package sessionstore, which exports them.
var (
	ErrNotFound    = errors.New("no such session")
	ErrEnded       = errors.New("the session has ended")
	ErrSuperseded  = errors.New("a newer access token was issued")
	ErrUnavailable = errors.New("the session database is unavailable")
)

// Unavailable wraps an error of the database.
func Unavailable(operation string, err error) error {
	return fmt.Errorf("%s: %w: %w", operation, ErrUnavailable, err)
}
