package authorization

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/protectedresource"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// statusClientClosedRequest is nginx's, for logs and metrics: a client that hung up
// says nothing about the service.
const statusClientClosedRequest = 499

// Refuse answers a request that is not served because of an error. If the error is
// about the request's token, the answer is 401, with the challenge of RFC 6750 §3, or
// of RFC 9470 §3 if the user must authenticate again; isInvalid says that the error
// means an invalid token. Any other error is answered with the given status, where 503
// becomes 499 if the client has hung up.
func Refuse(w http.ResponseWriter, r *http.Request, err error, isInvalid bool, status int) {
	h := w.Header()
	challenge := func(challenges ...string) { status, h["Www-Authenticate"] = http.StatusUnauthorized, challenges }
	insufficient, isInsufficient := errors.AsType[*tokens.AuthenticationError](err)
	switch code := dpop.ErrorCode(err); {
	case isInsufficient:
		challenge(Challenge(insufficient))
	case code != "":
		challenge(dpop.Challenge("", code)) // RFC 9449 §7.1
	case errors.Is(err, ErrNoToken):
		challenge(Bearer, dpop.Challenge("", "")) // RFC 9449 §7.2
	case isInvalid, errors.Is(err, ErrMalformed):
		challenge(Bearer + ` error="invalid_token"`)
	case status != http.StatusServiceUnavailable:
	case errors.Is(r.Context().Err(), context.Canceled):
		status = statusClientClosedRequest
	default:
		h.Set("Retry-After", "1")
	}
	addMetadata(h, r)
	http.Error(w, http.StatusText(status), status)
}

const insufficientAuthentication = "insufficient_user_authentication"

// Challenge is the WWW-Authenticate of a request whose user must authenticate again
// (RFC 9470 §3).
func Challenge(e *tokens.AuthenticationError) string {
	challenge := Bearer + ` error="` + insufficientAuthentication + `"`
	if e.Bound {
		challenge = dpop.Challenge("", insufficientAuthentication)
	}
	if len(e.ACRValues) > 0 {
		challenge += `, acr_values="` + strings.Join(e.ACRValues, " ") + `"`
	}
	if e.MaxAge > 0 {
		challenge += `, max_age="` + strconv.FormatInt(int64(e.MaxAge/time.Second), 10) + `"`
	}
	return challenge
}

type metadataKey struct{}

// WithMetadata returns an onError whose requests know the metadata, so that a custom
// onError that ends in the default one also has it in its challenges.
func WithMetadata(onError func(http.ResponseWriter, *http.Request, error), m *protectedresource.Metadata) func(http.ResponseWriter, *http.Request, error) {
	if m == nil {
		return onError
	}
	return func(w http.ResponseWriter, r *http.Request, err error) {
		onError(w, r.WithContext(context.WithValue(r.Context(), metadataKey{}, m)), err)
	}
}

// addMetadata adds the request's metadata to the challenges of the answer (RFC 9728 §5.1).
func addMetadata(h http.Header, r *http.Request) {
	m, ok := r.Context().Value(metadataKey{}).(*protectedresource.Metadata)
	if !ok {
		return
	}
	for i, challenge := range h["Www-Authenticate"] {
		separator := ", "
		if !strings.Contains(challenge, " ") {
			separator = " " // only the scheme
		}
		h["Www-Authenticate"][i] = challenge + separator + `resource_metadata="` + m.URL() + `"`
	}
}
