package httpapi

import (
	"net/http"
	"strings"
)

// maxIdempotencyKey is far longer than a UUID.
const maxIdempotencyKey = 255

// idempotencyKey returns the request's idempotency key
// (draft-ietf-httpapi-idempotency-key-header-07 §2.1), empty for none. Each caller has its own
// keys: two backends may use the same one. The draft requires a string of RFC 8941, in double
// quotes; one without quotes, as most clients send it, is accepted too.
func idempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if text, isString := strings.CutPrefix(key, `"`); isString {
		key, isString = strings.CutSuffix(text, `"`)
		if !isString {
			key = ""
		}
	}
	if len(values) > 1 || key == "" || len(key) > maxIdempotencyKey || strings.ContainsFunc(key, isNoKeyCharacter) {
		return "", invalidParameter("Idempotency-Key", "One key of 1 to 255 visible ASCII characters is wanted, in double quotes or without, such as a new UUID.")
	}
	return infoOf(r).serviceKey + "\x00" + key, nil
}

// isNoKeyCharacter: a quote or a backslash would have to be escaped in a string of RFC
// 8941, and a comma separates two keys.
func isNoKeyCharacter(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`"\,`, c) }
