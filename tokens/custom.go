package tokens

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxCustomBytes is the most that a session's own claims may take, in the form that
// [CustomClaims] returns.
const MaxCustomBytes = 4 << 10

// maxCustomDepth is far below what any parser of JWTs takes.
const maxCustomDepth = 32

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

func customError(pointer jsontext.Pointer, format string, args ...any) error {
	return &CustomError{Pointer: string(pointer), Problem: fmt.Sprintf(format, args...)}
}

// CustomClaims checks claims that a session is to have beside ours, a JSON object, and
// returns the one form that they have in tokens: members in order, without spaces,
// numbers as they were written. It is empty for no claims. Every error is a
// [CustomError].
//
// A claim cannot pass for one of ours, with any parser: a name is refused that is one
// of [ReservedClaims] in other letters, or but for hyphens and underscores, and so are
// __proto__, whose members a script that copies claims may take for claims, and a member
// that is there twice. A number must be within the range of 64 bits of floating point:
// many parsers refuse a whole token for one that is not.
func CustomClaims(text []byte) (string, error) {
	// Spaces and escapes do not count, but nobody has the rest of a body read for them.
	if len(text) > 16*MaxCustomBytes {
		return "", customError("", "longer than %d bytes", MaxCustomBytes)
	}
	value := jsontext.Value(text).Clone()
	if err := value.Format(jsontext.ReorderRawObjects(true), jsontext.CanonicalizeRawFloats(false)); err != nil {
		return "", customSyntaxError(err)
	}
	if value.Kind() != '{' {
		return "", customError("", "not a JSON object")
	}
	if len(value) > MaxCustomBytes {
		return "", customError("", "longer than %d bytes", MaxCustomBytes)
	}
	if err := checkCustom(value); err != nil {
		return "", err
	}
	if len(value) == len("{}") {
		return "", nil
	}
	return string(value), nil
}

// checkCustom looks at the names, at the depth, and at what no column holds.
func checkCustom(form jsontext.Value) error {
	mayHaveNUL := bytes.Contains(form, []byte(`\u0000`)) // which has no shorter spelling
	// It is read where it is, and Format has refused members that are there twice.
	d := jsontext.NewDecoder(bytes.NewBuffer(form), jsontext.AllowDuplicateNames(true))
	for d.StackDepth() > 0 || d.InputOffset() == 0 {
		token, err := d.ReadToken()
		if err != nil {
			return customSyntaxError(err)
		}
		if d.StackDepth() > maxCustomDepth {
			return customError("", "nested deeper than %d levels", maxCustomDepth)
		}
		if token.Kind() == '0' {
			if _, err := strconv.ParseFloat(token.String(), 64); err != nil {
				return customError(d.StackPointer(), "a number beyond what 64 bits of floating point hold, which is up to 1.7e308")
			}
			continue
		}
		if token.Kind() != '"' {
			continue
		}
		kind, n := d.StackIndex(1)
		isName := d.StackDepth() == 1 && kind == '{' && n%2 == 1
		if !isName && !mayHaveNUL {
			continue
		}
		text := token.String()
		if strings.ContainsRune(text, 0) {
			return customError("", `a string contains \u0000, which PostgreSQL cannot store`)
		}
		if !isName {
			continue
		}
		switch {
		case isReserved(text):
			return customError(d.StackPointer(), "reserved, in whatever spelling, as are %s", strings.Join(reservedClaims, ", "))
		case text == "__proto__":
			return customError(d.StackPointer(), "reserved: scripts may take its members for claims")
		case text == "scope":
			value, err := d.ReadToken()
			if err != nil {
				return customSyntaxError(err)
			}
			if value.Kind() != '"' || !isScope(value.String()) {
				return customError("/scope", "not a scope: a string of words with one space between two, of printable ASCII characters but for the quotation mark and the backslash") // RFC 6749 §3.3
			}
		}
	}
	return nil
}

// isReserved compares as the laxest parser of JSON does.
func isReserved(name string) bool {
	name = withoutSeparators.Replace(name)
	if strings.ContainsAny(name, otherIs) {
		name = withoutOtherIs.Replace(name)
	}
	return slices.ContainsFunc(reservedLetters, func(reserved string) bool { return strings.EqualFold(name, reserved) })
}

// otherIs are the letters whose other case is an i in Java, whatever the locale, though not
// in Unicode's folding.
const otherIs = "\u0131\u0130"

var (
	withoutSeparators = strings.NewReplacer("_", "", "-", "")
	withoutOtherIs    = strings.NewReplacer("\u0131", "i", "\u0130", "i")
	// reservedLetters are reservedClaims without separators.
	reservedLetters = strings.Fields(withoutSeparators.Replace(strings.Join(reservedClaims, " ")))
)

// isScope is RFC 6749 §3.3.
func isScope(s string) bool {
	for word := range strings.SplitSeq(s, " ") {
		if !isWord(word) {
			return false
		}
	}
	return true
}

func customSyntaxError(err error) error {
	e, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case !ok:
		return customError("", "not valid JSON")
	case errors.Is(err, jsontext.ErrDuplicateName):
		return customError(e.JSONPointer, "given twice")
	}
	return customError("", "not valid JSON (byte %s)", strconv.FormatInt(e.ByteOffset, 10))
}

// Scope is the scope that a session was given among its own claims (RFC 6749 §3.3);
// empty for none.
func (c Claims) Scope() string {
	var own struct {
		Scope string `json:"scope"`
	}
	// Most have none, and then nothing is decoded: the form has one spelling of a name.
	if !strings.Contains(c.Custom, `"scope":`) || c.Decode(&own) != nil {
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
