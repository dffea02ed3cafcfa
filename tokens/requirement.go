package tokens

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Requirement is what a request demands of the authentication of a token's user
// (RFC 9470). The zero Requirement is met by every token.
type Requirement struct {
	// MaxAge is how long ago the user may have authenticated, in whole seconds. Zero
	// means any time.
	MaxAge time.Duration
	// ACRValues are authentication context classes, of which one must have been met,
	// the preferred one first. None means any.
	ACRValues []string
}

// Validate returns an error for a requirement that no challenge can state.
func (r Requirement) Validate() error {
	if r.MaxAge < 0 || r.MaxAge%time.Second != 0 {
		return fmt.Errorf("tokens: MaxAge is %v, it must be a number of whole seconds that is not negative", r.MaxAge)
	}
	for _, value := range r.ACRValues {
		if len(value) > maxACRBytes || !isWord(value) {
			return fmt.Errorf("tokens: %q of ACRValues is not "+wantedWord, value, maxACRBytes)
		}
	}
	return nil
}

// ErrAuthentication says that a token is valid, but that its user must authenticate
// in another way, or again: insufficient_user_authentication of RFC 9470. See
// [AuthenticationError].
var ErrAuthentication = errors.New("the user must authenticate again")

// AuthenticationError is an [ErrAuthentication] that says what is required.
type AuthenticationError struct {
	Requirement

	// Bound says that the token is bound to a key of its client.
	Bound bool
}

func (e *AuthenticationError) Error() string { return ErrAuthentication.Error() }

// Is makes an AuthenticationError an [ErrAuthentication].
func (e *AuthenticationError) Is(target error) bool { return target == ErrAuthentication }

// Check returns an [AuthenticationError] for a token that does not meet the requirement.
// A requirement about which the token says nothing is not met. The time should come from
// the database's clock.
func (r Requirement) Check(c Claims, now time.Time) error {
	var known Authentication
	if c.Authentication != nil {
		known = *c.Authentication
	}
	isRecent := r.MaxAge == 0 || !known.AuthTime.IsZero() && now.Sub(known.AuthTime) <= r.MaxAge
	isOfClass := len(r.ACRValues) == 0 || slices.Contains(r.ACRValues, known.ACR)
	if isRecent && isOfClass {
		return nil
	}
	return &AuthenticationError{Requirement: r, Bound: c.KeyThumbprint != ""}
}
