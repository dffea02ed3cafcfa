package sessionhttp

import (
	"cmp"
	"mime"
	"net/http"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Body is [Bearer] for an access token that is a field of a form, access_token if it is empty
// (RFC 6750 §2.2), for clients that cannot set a header. The form is parsed, so handlers have
// it in [http.Request.PostForm], and no body is left to read. Up to 10 MB of the body are
// read, or less behind [http.MaxBytesReader].
type Body string

// Read returns the token of a form. A request without one has no token.
func (b Body) Read(r *http.Request) (Presented, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return Presented{}, ErrNoToken
	}
	if err := r.ParseForm(); err != nil {
		return Presented{}, ErrMalformed
	}
	return bearerOf(r.PostForm[cmp.Or(string(b), "access_token")])
}

// Write does nothing.
func (Body) Write(http.Header, sessionstore.TokenPair) {}

// Clear does nothing.
func (Body) Clear(http.Header) {}

// Ambient is false: clients decide when to send their token.
func (Body) Ambient() bool { return false }
