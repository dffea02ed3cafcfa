package verifier

import "github.com/latchkey-sessions/latchkey/tokens"

// Claims returns the session's own claims in a verified token, by the json tags of T's
// fields. A name must be spelled as the member is; members that T does not
// have are ignored, and fields without a member are zero.
func Claims[T any](claims tokens.Claims) (T, error) {
	var own T
	err := claims.Decode(&own)
	return own, err
}
