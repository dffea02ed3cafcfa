package sessionstore

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// States of a session or a token. Test for them with [errors.Is].
var (
	// ErrNotFound says that there is no such session.
	ErrNotFound = sessionerr.ErrNotFound

	// ErrEnded says that the session was revoked, was idle for too long or is
	// past its absolute end.
	ErrEnded = sessionerr.ErrEnded

	// ErrTooManySessions says that a subject already has [Config].SessionsPerSubject live
	// sessions: see [RefuseNew].
	ErrTooManySessions = sessionerr.ErrTooManySessions

	// ErrIdempotencyKeyReused says that another session was created with the key.
	ErrIdempotencyKeyReused = sessionerr.ErrIdempotencyKeyReused

	// ErrNotReplaceable says that the session to replace has ended, was replaced, or is
	// not known: see [Store.Replace].
	ErrNotReplaceable = sessionerr.ErrNotReplaceable

	// ErrSuperseded says that an access token was replaced by a newer one.
	ErrSuperseded = sessionerr.ErrSuperseded

	// ErrNotProven says that a refresh token is bound to a key of which its bearer
	// has not proven possession (RFC 9449 §5). Nothing has changed: a copy of the
	// token is of no use. (Ending the session needs no proof: see
	// [Store.RevokeToken].)
	ErrNotProven = errors.New("the refresh token is bound to another key")

	// ErrScope says that a refresh asks for more than the session's scope. Nothing has
	// changed.
	ErrScope = errors.New("the scope exceeds the session's")

	// ErrResource says that a refresh asks for a resource that is not one of the session's
	// audiences. Nothing has changed.
	ErrResource = errors.New("the resource is not one of the session's audiences")

	// ErrOtherClient says that a refresh token was issued to a client other than the one
	// that presents it (RFC 6749 §5.2). Nothing has changed.
	ErrOtherClient = errors.New("the refresh token was issued to another client")

	// ErrProofRequired says that the session's client must prove possession of a key, and
	// did not. Nothing has changed: the same refresh with a proof still succeeds.
	ErrProofRequired = errors.New("the client needs a proof of possession")

	// ErrReuse says that a refresh token came back that its owner cannot be alone in
	// holding. The session has been revoked. See [ReuseError].
	ErrReuse = errors.New("a used refresh token was presented again: the session is revoked")

	// ErrConflict says that the data was changed since it was read. See
	// [ConflictError].
	ErrConflict = sessionerr.ErrConflict

	// ErrInvalidArgument says that the caller's input is not acceptable. See
	// [ArgumentError].
	ErrInvalidArgument = sessionerr.ErrInvalidArgument

	// ErrUnavailable says that the database could not be reached, or did not
	// answer in time, or that data cannot be opened: see [SealedError]. It never
	// means that a token or a session is invalid.
	ErrUnavailable = sessionerr.ErrUnavailable

	// ErrCleanupRunning says that another cleanup is at work.
	ErrCleanupRunning = errors.New("another cleanup is running")
)

// ConflictError is an [ErrConflict] that identifies the present data.
type ConflictError struct {
	// Checksum is that of the stored data.
	Checksum string
}

func (e *ConflictError) Error() string { return ErrConflict.Error() }

// Is makes a ConflictError an [ErrConflict].
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// ReuseError is an [ErrReuse] that describes what was seen.
type ReuseError struct {
	SessionID uuid.UUID
	// Subject is the user; empty for a session without one.
	Subject string
	// ClientID is the session's client.
	ClientID string
	Theft    Theft
	// Behind is how many generations the presented token is behind the newest.
	Behind int64
	// ReportDelayed is why the report could not be enqueued at once, and comes
	// later: see [LeakQueue].
	ReportDelayed error
}

func (e *ReuseError) Error() string {
	return fmt.Sprintf("%v (%s, %d behind)", ErrReuse, e.Theft, e.Behind)
}

// Is makes a ReuseError an [ErrReuse].
func (e *ReuseError) Is(target error) bool { return target == ErrReuse }

// ArgumentError is an [ErrInvalidArgument] that names what is wrong.
type ArgumentError struct {
	// Field is the argument's name as the HTTP API spells it: "data",
	// "subject", "access_token_ttl", "cursor".
	Field string
	// Member is the JSON pointer of the member of Field that is wrong; empty for all of it.
	Member string
	// Problem says what is wrong and what is allowed, in words that the caller may see.
	Problem string
}

func (e *ArgumentError) Error() string { return e.Field + e.Member + ": " + e.Problem }

// Is makes an ArgumentError an [ErrInvalidArgument].
func (e *ArgumentError) Is(target error) bool { return target == ErrInvalidArgument }

func argumentError(field, format string, args ...any) error {
	return &ArgumentError{Field: field, Problem: fmt.Sprintf(format, args...)}
}
