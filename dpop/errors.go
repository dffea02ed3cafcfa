package dpop

import (
	"errors"
	"fmt"
	"time"
)

// Verdicts about a proof or its token. Test for them with [errors.Is], or use
// [ErrorCode].
var (
	// ErrInvalid says that a required proof is missing, that there is more than
	// one, or that one fails a check of RFC 9449 §4.3. The client may retry
	// with a new proof: it says nothing about the token.
	ErrInvalid = errors.New("the DPoP proof is not valid")

	// ErrReplayed is the [ErrInvalid] of a proof that was used before.
	ErrReplayed = fmt.Errorf("%w: it was used before", ErrInvalid)

	// ErrClock is the [ErrInvalid] of a proof whose times are off: it is too old, or
	// its maker's clock is wrong. The error's text contains the server's time.
	ErrClock = fmt.Errorf("%w: its time differs from ours", ErrInvalid)

	// ErrUseNonce is the [ErrInvalid] of a proof that is valid except for its nonce,
	// which must come from [Checker.SetNonce] (RFC 9449 §8).
	ErrUseNonce = fmt.Errorf("%w: it needs one of our nonces", ErrInvalid)

	// ErrNotBound says that an access token is bound to a key of which the
	// request does not prove possession, or that a proof came with an unbound
	// token (RFC 9449 §7.1, §7.2).
	ErrNotBound = errors.New("the token is not bound to the key of the request")

	// ErrUnavailable says that no more proofs can be remembered at the moment: then
	// none is accepted, so that none is accepted twice. It says nothing about the
	// proof.
	ErrUnavailable = errors.New("too many DPoP proofs at once")
)

// The OAuth error codes for what this package refuses.
const (
	CodeInvalidProof = "invalid_dpop_proof" // RFC 9449 §5, §7.1
	CodeUseNonce     = "use_dpop_nonce"     // RFC 9449 §8, §9
	CodeInvalidToken = "invalid_token"      // RFC 6750 §3.1
)

// ErrorCode returns the OAuth error code for an error of this package. It is empty
// for [ErrUnavailable] and for every other error.
func ErrorCode(err error) string {
	switch {
	case errors.Is(err, ErrUnavailable):
		return ""
	case errors.Is(err, ErrUseNonce):
		return CodeUseNonce
	case errors.Is(err, ErrInvalid):
		return CodeInvalidProof
	case errors.Is(err, ErrNotBound):
		return CodeInvalidToken
	}
	return ""
}

func wrongClock(what string, now time.Time) error {
	return fmt.Errorf("%w: %s; it is %s here", ErrClock, what, now.UTC().Format(time.RFC3339))
}

func invalid(what string) error { return fmt.Errorf("%w: %s", ErrInvalid, what) }
