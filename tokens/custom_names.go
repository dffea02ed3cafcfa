package tokens

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// reservedClaims are the names that a session's own claims must not have: those that
// say what a token is, whose it is, for whom and until when.
var reservedClaims = []string{
	"acr", "act", "amr", "aud", "auth_time", "client_id", "cnf", "exp", "iat", "iss", "jti", "latchkey_cookie", "latchkey_era", "nbf", "sid", "sub", "typ",
}

// ReservedClaims are the names that a session's own claims must not have, in any
// spelling: see [CustomClaims].
func ReservedClaims() []string { return slices.Clone(reservedClaims) }

// reserved are reservedClaims as plainly writes them.
var reserved = func() map[string]bool {
	names := map[string]bool{}
	for _, name := range reservedClaims {
		names[string(plainly(make([]byte, 0, len(name)), []byte(name)))] = true
	}
	return names
}()

// plainly appends a name as the laxest JSON parser compares it: in lower case, without
// separators. It stops when the room is used up.
func plainly(dst, name []byte) []byte {
	for len(name) > 0 && len(dst) < cap(dst) {
		c, size := utf8.DecodeRune(name)
		name = name[size:]
		if c != '_' && c != '-' {
			dst = append(dst, small(c))
		}
	}
	return dst
}

// small is the lower-case letter that a letter may be taken for, by Unicode's case folding and
// by Java's, whatever the locale, for which ı and İ are also cases of i. A letter that cannot
// be taken for an ASCII one is in no reserved name.
func small(c rune) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return byte(c - 'A' + 'a')
	case c < utf8.RuneSelf:
		return byte(c) //nolint:gosec // G115: it is below 0x80
	case c == '\u0131', c == '\u0130':
		return 'i'
	}
	for folded := unicode.SimpleFold(c); folded != c; folded = unicode.SimpleFold(folded) {
		if 'a' <= folded && folded <= 'z' {
			return byte(folded)
		}
	}
	return utf8.RuneSelf
}
