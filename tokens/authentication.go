package tokens

import (
	"fmt"
	"strings"
	"time"
)

const (
	maxACRBytes = 255
	maxAMRBytes = 64
	maxAMR      = 16
)

// maxAuthTime is the last second of the year 9999, the latest that RFC 3339 can
// express.
const maxAuthTime = 253_402_300_799

// Authentication is how and when a session's user authenticated (RFC 9068 §2.2.1). A
// zero member means unknown.
type Authentication struct {
	// AuthTime is the time of the authentication, to the second: auth_time.
	AuthTime time.Time
	// ACR is the authentication context class that was met, up to 255 printable ASCII
	// characters without a space, a quotation mark or a backslash: acr.
	ACR string
	// AMR lists the methods, such as pwd and otp (RFC 8176), up to 16 of up to 64
	// such characters: amr.
	AMR []string
}

// isZero reports whether nothing is known.
func (a *Authentication) isZero() bool {
	return a == nil || a.AuthTime.IsZero() && a.ACR == "" && len(a.AMR) == 0
}

// check returns a [CustomError] for what a token must not say.
func (a *Authentication) check() error {
	if a == nil {
		return nil
	}
	if at := a.AuthTime.Unix(); !a.AuthTime.IsZero() && (at < 0 || at > maxAuthTime) {
		return customError("/auth_time", "not between 0 and %d, in seconds since 1970", maxAuthTime)
	}
	if a.ACR != "" && (len(a.ACR) > maxACRBytes || !isWord(a.ACR)) {
		return customError("/acr", "not "+wantedWord, maxACRBytes)
	}
	if len(a.AMR) > maxAMR {
		return customError("/amr", "more than %d methods", maxAMR)
	}
	for i, method := range a.AMR {
		if len(method) > maxAMRBytes || !isWord(method) {
			return &CustomError{Pointer: fmt.Sprintf("/amr/%d", i), Problem: fmt.Sprintf("not "+wantedWord, maxAMRBytes)}
		}
	}
	return nil
}

const wantedWord = "a string of 1 to %d printable ASCII characters other than space, quotation mark and backslash"

// isWord reports whether a text is a word of a scope or of acr_values, which allow
// the same characters (RFC 6749 §3.3, RFC 9470 §3).
func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' })
}
