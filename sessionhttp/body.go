package sessionhttp

import (
	"mime"
	"net/http"

	"github.com/latchkey-sessions/latchkey/internal/authorization"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Body is [Bearer] for an access token that is a field of a form, access_token if it is empty
// (RFC 6750 §2.2), where a client cannot set a header. The form is parsed, so handlers have it
// in [http.Request.PostForm], and no body is left to read.
type Body string

// Read returns the token of a form. A request without one has no token.
func (b Body) Read(r *http.Request) (Presented, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return Presented{}, ErrNoToken
	}
	if err := r.ParseForm(); err != nil {
		return Presented{}, ErrMalformed
	}
	field := string(b)
	if field == "" {
		field = "access_token"
	}
	values := r.PostForm[field]
	switch {
	case len(values) == 0:
		return Presented{}, ErrNoToken
	case len(values) > 1 || values[0] == "":
		return Presented{}, ErrMalformed
	}
	return Presented{Scheme: authorization.Bearer, Access: tokens.Secret(values[0])}, nil
}

// Write does nothing.
func (Body) Write(http.Header, sessionstore.TokenPair) {}

// Clear does nothing.
func (Body) Clear(http.Header) {}

// Ambient tells that clients decide when to send their token.
func (Body) Ambient() bool { return false }
