package sessionhttp

import (
	"net/http"

	"github.com/latchkey-sessions/latchkey/internal/authorization"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Transport says where a request has its session's tokens, and how a client gets them. One that reads
// a header other than Authorization must also have a method Vary() string that names it, as [Cookies]
// has: responses say so to caches.
type Transport interface {
	// Read returns the tokens of a request. Its errors are [ErrNoToken], [ErrMalformed] and
	// [ErrCrossSite].
	Read(r *http.Request) (Presented, error)
	// Write puts a pair into the header of a response, in place of what it wrote before.
	Write(header http.Header, pair sessionstore.TokenPair)
	// Clear makes the header remove the tokens from the client.
	Clear(header http.Header)
	// Ambient reports whether clients send the tokens automatically, with every request: then
	// invalid ones do not mean that a user claimed an identity.
	Ambient() bool
}

// Presented are the tokens of a request.
type Presented struct {
	// Scheme is Bearer, or [dpop.Scheme] for a token with a proof.
	//
	// [dpop.Scheme]: https://pkg.go.dev/github.com/latchkey-sessions/latchkey/dpop#Scheme
	Scheme string
	// Access is the access token. It may be empty if there is a Refresh.
	Access tokens.Secret
	// Refresh is the refresh token, if the middleware should refresh; otherwise it is empty.
	Refresh tokens.Secret
}

// Bearer is the transport of clients that keep their tokens themselves: the access token is in
// the Authorization header, and responses have no tokens except those that handlers put there.
type Bearer struct{}

// Read returns the token of the Authorization header.
func (Bearer) Read(r *http.Request) (Presented, error) {
	scheme, token, err := AccessToken(r)
	return Presented{Scheme: scheme, Access: tokens.Secret(token)}, err
}

// Write does nothing.
func (Bearer) Write(http.Header, sessionstore.TokenPair) {}

// Clear does nothing.
func (Bearer) Clear(http.Header) {}

// Ambient is false: clients decide when to send their token.
func (Bearer) Ambient() bool { return false }

// Header is [Bearer] for an access token that is the value of a header of this name, if
// a proxy needs Authorization for itself.
type Header string

// Read returns the token of the header.
func (h Header) Read(r *http.Request) (Presented, error) {
	return bearerOf(r.Header.Values(string(h)))
}

// bearerOf takes the values of the place where a request has its token, at most one.
func bearerOf(values []string) (Presented, error) {
	switch {
	case len(values) == 0:
		return Presented{}, ErrNoToken
	case len(values) > 1 || values[0] == "":
		return Presented{}, ErrMalformed
	}
	return Presented{Scheme: authorization.Bearer, Access: tokens.Secret(values[0])}, nil
}

// Write does nothing.
func (Header) Write(http.Header, sessionstore.TokenPair) {}

// Clear does nothing.
func (Header) Clear(http.Header) {}

// Ambient is false: clients decide when to send their token.
func (Header) Ambient() bool { return false }

// Vary makes caches keep one client's responses from others (RFC 9110 §12.5.5).
func (h Header) Vary() string { return string(h) }
