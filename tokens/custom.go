package tokens

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxCustomBytes is the most bytes that a session's own claims may take, in the
// form that [CustomClaims] returns.
const MaxCustomBytes = 4 << 10

// reservedClaims are the names that a session's own claims must not have: those that
// say what a token is, whose it is, for whom and until when.
var reservedClaims = []string{
	"acr", "act", "amr", "aud", "auth_time", "client_id", "cnf", "exp", "iat", "iss", "jti", "latchkey_cookie", "latchkey_era", "nbf", "sid", "sub", "typ",
}

// ReservedClaims are the names that a session's own claims must not have, in any
// spelling: see [CustomClaims].
func ReservedClaims() []string { return slices.Clone(reservedClaims) }

// CustomError says what is wrong with claims, and what is allowed. It contains
// none of their values.
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

// CustomClaims checks claims for a session in addition to ours, a JSON object, and
// returns the canonical form that they take in tokens: members in order, without
// spaces, numbers as they were written. It is empty for no claims. Every error is a
// [CustomError].
//
// No parser can mistake a claim for one of ours: a name is refused that equals one of
// [ReservedClaims] apart from letter case, hyphens and underscores. So are a name that passes
// for scope, which would grant more than the token response and a refresh know about;
// __proto__, whose members a script that copies claims may take for claims; and a duplicate
// member. Any other names that differ in case are different claims (RFC 7519 §4). A number
// must be within the range of 64 bits of floating point: many parsers refuse a whole token
// for one that is not.
func CustomClaims(text []byte) (string, error) {
	// Spaces and escapes do not count, but an unbounded body of them is not read.
	if len(text) > 16*MaxCustomBytes {
		return "", errCustomTooLong
	}
	r, _ := customReaders.Get().(*customReader)
	defer customReaders.Put(r)
	return r.read(text)
}

// Scope is the scope among a session's own claims (RFC 6749 §3.3);
// empty for none.
func (c Claims) Scope() string {
	// Most have none, and then nothing is decoded: the form has only one spelling of a name.
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
// name must be spelled as the member is. Members that v has no field for are ignored.
func (c Claims) Decode(v any) error {
	text := cmp.Or(c.Custom, "{}")
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("tokens: decode the session's own claims: %w", err)
	}
	return nil
}
