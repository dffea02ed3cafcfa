package tokens

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

var (
	errNotCompact = fmt.Errorf("%w: not a compact JWS", ErrInvalid)
	errUnreadable = fmt.Errorf("%w: its claims or its signature cannot be read", ErrInvalid)
)

// isCompact reports whether a token may be a compact JWS (RFC 7515 §7.1). Go's
// base64 skips line breaks even when it is strict: with them a token would have
// several spellings.
func isCompact(token string) bool {
	return strings.Count(token, ".") == 2 && !strings.ContainsAny(token, "\r\n")
}

// refusal translates an error of golang-jwt's parser into one of this package.
func refusal(err error) error {
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return ErrUnknownKey
	case isExpiredAlone(err):
		return ErrExpired
	case isNothingBut(err, jwt.ErrTokenInvalidClaims, jwt.ErrTokenNotValidYet, jwt.ErrTokenExpired):
		return ErrNotValidYet
	case isNothingBut(err, jwt.ErrTokenInvalidClaims, jwt.ErrTokenNotValidYet, jwt.ErrTokenExpired, jwt.ErrTokenInvalidAudience):
		return ErrWrongAudience
	case isNothingBut(err, jwt.ErrTokenInvalidClaims, jwt.ErrTokenNotValidYet, jwt.ErrTokenExpired, jwt.ErrTokenInvalidAudience, jwt.ErrTokenInvalidIssuer):
		return ErrWrongIssuer
	case errors.Is(err, jwt.ErrTokenInvalidClaims):
		return fmt.Errorf("%w: %s", ErrInvalid, err.Error())
	}
	return errUnreadable // what the error says is not passed on: it may quote the token
}

// isExpiredAlone reports whether the time is all that is wrong with a token. The
// parser joins everything it finds wrong with the claims, so an error may say at
// once that a token has expired and that it is forged (CVE-2024-51744).
func isExpiredAlone(err error) bool {
	return errors.Is(err, jwt.ErrTokenExpired) && isNothingBut(err, jwt.ErrTokenInvalidClaims, jwt.ErrTokenExpired)
}

// isNothingBut reports whether err consists only of the given errors.
func isNothingBut(err error, known ...error) bool {
	joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err)
	if ok {
		return !slices.ContainsFunc(joined.Unwrap(), func(part error) bool { return !isNothingBut(part, known...) })
	}
	return slices.ContainsFunc(known, func(k error) bool { return errors.Is(err, k) })
}
