package sessionstore

import (
	"strings"
	"unicode/utf8"
)

// checkText refuses what a text column cannot hold.
func checkText(field, s string, maxBytes int) error {
	switch {
	case len(s) > maxBytes:
		return argumentError(field, "longer than %d bytes", maxBytes)
	case !utf8.ValidString(s):
		return argumentError(field, "not valid UTF-8")
	case strings.ContainsRune(s, 0):
		return argumentError(field, "contains a NUL character")
	}
	return nil
}

// cutText makes any header value fit: no client is turned away for it.
func cutText(s string, maxBytes int) string {
	if len(s) > maxBytes {
		s = s[:maxBytes]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
}
