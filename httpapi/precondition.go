package httpapi

import (
	"net/http"
	"strings"
)

// ifMatch returns the checksum that the request's If-Match names: one strong
// ETag. A list or * would overwrite data that the caller has not read, and a
// weak ETag never matches (RFC 9110 §13.1.1).
func ifMatch(r *http.Request) (string, error) {
	values := r.Header.Values("If-Match")
	if len(values) == 0 {
		return "", &problem{code: codePreconditionRequired, detail: "Send the ETag of the data that you read."}
	}
	checksum, ok := strings.CutPrefix(values[0], `"`)
	checksum, closed := strings.CutSuffix(checksum, `"`)
	if len(values) > 1 || !ok || !closed || checksum == "" || strings.ContainsFunc(checksum, isNoETagCharacter) {
		return "", invalidParameter("If-Match", "One strong ETag in double quotes is wanted: no list, no * and no W/.")
	}
	return checksum, nil
}

// isNoETagCharacter: none of our ETags contains anything but visible ASCII, and
// no database accepts bytes that are not UTF-8.
func isNoETagCharacter(c rune) bool { return c <= ' ' || c > '~' || c == '"' }

// ifNoneMatch reports whether the caller's copy is the present one. The
// comparison is weak (RFC 9110 §13.1.2).
func ifNoneMatch(r *http.Request, etag string) bool {
	for candidate := range strings.SplitSeq(strings.Join(r.Header.Values("If-None-Match"), ","), ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
			return true
		}
	}
	return false
}
