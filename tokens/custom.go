package tokens

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxCustomBytes is the most that a session's own claims may take, in the form that
// [CustomClaims] returns.
const MaxCustomBytes = 4 << 10

// reservedClaims are the names that no claim of a session's own may have: those that
// say what a token is, whose, for whom and until when.
var reservedClaims = []string{
	"acr", "act", "amr", "aud", "auth_time", "client_id", "cnf", "exp", "iat", "iss", "jti", "latchkey_cookie", "nbf", "sid", "sub", "typ",
}

// ReservedClaims are the names that a session's own claims may not have, however they
// are spelled: see [CustomClaims].
func ReservedClaims() []string { return slices.Clone(reservedClaims) }

// CustomError says what is wrong with claims, and what is allowed. It has none of
// their values.
type CustomError struct {
	// Pointer is the JSON pointer of the member; empty for the claims as a whole.
	Pointer string
	Problem string
}

func (e *CustomError) Error() string {
	if e.Pointer == "" {
		return e.Problem
	}
	return e.Pointer + ": " + e.Problem
}

var errCustomTooLong = customError("", "longer than %d bytes", MaxCustomBytes)

func customError(pointer jsontext.Pointer, format string, args ...any) error {
	return &CustomError{Pointer: string(pointer), Problem: fmt.Sprintf(format, args...)}
}

// CustomClaims checks claims that a session is to have beside ours, a JSON object, and
// returns the one form that they have in tokens: members in order, without spaces,
// numbers as they were written. It is empty for no claims. Every error is a
// [CustomError].
//
// A claim cannot pass for one of ours, with any parser: a name is refused that is one
// of [ReservedClaims] in other letters, or but for hyphens and underscores. So is one that
// passes for scope, which says more than the token's answer and a refresh know of, and so are
// __proto__, whose members a script that copies claims may take for claims, and a
// duplicate member. Any other names that differ in their letters are those of different
// claims (RFC 7519 §4). A number must be within the range of 64 bits of floating point: many
// parsers refuse a whole token for one that is not.
func CustomClaims(text []byte) (string, error) {
	// Spaces and escapes do not count, but nobody has the rest of a body read for them.
	if len(text) > 16*MaxCustomBytes {
		return "", errCustomTooLong
	}
	r, _ := customReaders.Get().(*customReader)
	defer customReaders.Put(r)
	return r.read(text)
}

// Scope is the scope that a session was given among its own claims (RFC 6749 §3.3);
// empty for none.
func (c Claims) Scope() string {
	// Most have none, and then nothing is decoded: the form has one spelling of a name.
	if !strings.Contains(c.Custom, `"scope":`) {
		return ""
	}
	var own struct {
		Scope string `json:"scope"`
	}
	if c.Decode(&own) != nil {
		return ""
	}
	return own.Scope
}

// Decode puts the session's own claims into v, a pointer, by its fields' json tags. A
// name must be spelled as the member is. What v has no place for is left out.
func (c Claims) Decode(v any) error {
	text := cmp.Or(c.Custom, "{}")
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("tokens: decode the session's own claims: %w", err)
	}
	return nil
}
