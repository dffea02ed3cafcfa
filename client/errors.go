package client

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// The service's refusals. Test for them with [errors.Is]. Those that are also in package
// sessionstore are the same values.
var (
	// ErrNotFound says that there is no such session, or none of such a subject.
	ErrNotFound = sessionerr.ErrNotFound

	// ErrEnded says that the session has ended.
	ErrEnded = sessionerr.ErrEnded

	// ErrTooManySessions says that the subject has as many live sessions as allowed.
	ErrTooManySessions = sessionerr.ErrTooManySessions

	// ErrIdempotencyKeyReused says that another session was created with the key.
	ErrIdempotencyKeyReused = sessionerr.ErrIdempotencyKeyReused

	// ErrNotReplaceable says that the session to replace has ended, was replaced, or is not
	// known.
	ErrNotReplaceable = sessionerr.ErrNotReplaceable

	// ErrConflict says that the data, or the claims, were changed since they were read. The
	// [Error] has their present checksum.
	ErrConflict = sessionerr.ErrConflict

	// ErrInvalidArgument says that the request is not acceptable. The [Error] names the part.
	ErrInvalidArgument = sessionerr.ErrInvalidArgument

	// ErrUnavailable says that the service, or its database, did not answer. Nothing is known
	// about a token or a session, and a change may have been made. Answer your own caller with
	// 503, never with 401.
	ErrUnavailable = sessionerr.ErrUnavailable

	// ErrServiceKey says that the service does not accept the service key.
	ErrServiceKey = errors.New("the service key is not accepted")

	// ErrMissingRight says that the service key lacks the right for this.
	ErrMissingRight = errors.New("the service key lacks a right")
)

// sentinels by the codes of httpapi/problems.md, and of RFC 6749 below /oauth2/.
var sentinels = map[string]error{
	"session_not_found":       ErrNotFound,
	"subject_not_found":       ErrNotFound,
	"session_ended":           ErrEnded,
	"too_many_sessions":       ErrTooManySessions,
	"idempotency_key_reused":  ErrIdempotencyKeyReused,
	"not_replaceable":         ErrNotReplaceable,
	"checksum_mismatch":       ErrConflict,
	"missing_right":           ErrMissingRight,
	"unauthorized_client":     ErrMissingRight,
	"unavailable":             ErrUnavailable,
	"temporarily_unavailable": ErrUnavailable,
}

// Error is a refusal. Its text quotes neither the key nor the request.
type Error struct {
	// Operation is the operation's name in httpapi/openapi.yaml: "createSession".
	Operation string
	// Status is that of the response.
	Status int
	// Code is what to switch on: one of httpapi/problems.md, and for an introspection one of
	// RFC 6749 §5.2. It is empty for a response that does not come from the service.
	Code string
	// Title says what the code means, and Detail what is wrong with this request. Either may be
	// empty.
	Title, Detail string
	// Pointer is the member of the body that is at fault (RFC 6901), Parameter the query
	// parameter or header. Both may be empty.
	Pointer, Parameter string
	// RequestID is the request's id in the service's log. It is empty if there is none.
	RequestID string
	// RetryAfter is how long the service asks to wait; 0 if it does not say.
	RetryAfter time.Duration
	// Checksum is the present one, for an [ErrConflict].
	Checksum string
}

func (e *Error) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %d", e.Operation, e.Status)
	for _, part := range []string{e.Code, e.Pointer, e.Parameter} {
		if part != "" {
			text.WriteString(" " + part)
		}
	}
	if said := strings.Join(slices.DeleteFunc([]string{e.Title, e.Detail}, func(s string) bool { return s == "" }), " "); said != "" {
		text.WriteString(": " + said)
	}
	if e.RequestID != "" {
		text.WriteString(" (request " + e.RequestID + ")")
	}
	return text.String()
}

// Is matches the error of this package for the code.
func (e *Error) Is(target error) bool {
	if sentinel := sentinels[e.Code]; sentinel != nil {
		return target == sentinel
	}
	switch e.Status {
	case http.StatusUnauthorized:
		return target == ErrServiceKey
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return target == ErrInvalidArgument
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		return target == ErrUnavailable
	}
	return false
}

// retryAfter reads a Retry-After in seconds, which is the form that the service uses (RFC 9110
// §10.2.3).
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// unanswered is the [ErrUnavailable] of a call without a response.
type unanswered struct {
	operation string
	reason    error
}

func (e *unanswered) Error() string { return e.operation + ": no answer: " + e.reason.Error() }

func (e *unanswered) Is(target error) bool { return target == ErrUnavailable }

func (e *unanswered) Unwrap() error { return e.reason }
