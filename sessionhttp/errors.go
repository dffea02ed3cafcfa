package sessionhttp

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/internal/authorization"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

var (
	// ErrDiscarded says that a change came too late: the request has failed, and none of its
	// changes are stored.
	ErrDiscarded = errors.New("the request has failed: its changes are not stored")
	// ErrBusy says that another change to the session takes too long. A function passed
	// to Update that itself calls Update or Save gets it.
	ErrBusy = errors.New("another change of the session has not ended")
	// ErrBegun says that the response has begun: it can no longer hand tokens to the client.
	ErrBegun = errors.New("the response has begun: a session begins, or is renewed, before that")
)

// ErrFormToken says that an unsafe request has no form token of its session.
var ErrFormToken = errors.New("a request without the form's token")

// Error is the default answer to an error of the middleware: 401 with the
// challenge of RFC 6750 §3 for a missing or invalid token, 403 for a request that comes
// from another site or lacks its form's token, 409 for changes that conflict with those
// of other requests, 503 for a database that does not answer, which says nothing about
// the token, and for a request that was over before its changes were stored, 499 if the
// client hung up before the database answered, and 500 for the rest. If the user must
// authenticate again, it is 401 with the challenge of RFC 9470 §3.
//
// If a token is bound to a key, or should be, the challenge is that of RFC
// 9449 §7.1.
func Error(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, ErrCrossSite), errors.Is(err, ErrFormToken):
		status = http.StatusForbidden
	case errors.Is(err, sessionstore.ErrConflict):
		status = http.StatusConflict
	case errors.Is(err, sessionstore.ErrUnavailable), errors.Is(err, dpop.ErrUnavailable),
		errors.Is(err, ErrDiscarded), errors.Is(err, ErrBusy):
		status = http.StatusServiceUnavailable
	}
	authorization.Refuse(w, r, err, IsInvalidToken(err), status)
}

// notProven turns an error of package dpop into one that says that the token is
// not valid here, as error handlers know it.
func notProven(err error) error {
	if dpop.ErrorCode(err) != "" {
		return fmt.Errorf("%w: %w", tokens.ErrInvalid, err)
	}
	return err
}

// IsInvalidToken reports whether an error of [sessionstore.Store.Get] says that the
// access token is not valid, as invalid_token of RFC 6750 §3.1 means it.
func IsInvalidToken(err error) bool {
	for _, target := range []error{
		tokens.ErrInvalid, sessionstore.ErrEnded, sessionstore.ErrSuperseded, sessionstore.ErrNotFound,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
