package sessionhttp

import (
	"net/http"

	"github.com/latchkey-sessions/latchkey/internal/authorization"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Transport says where a request has its session's tokens, and how a client gets them. One that reads
// a header other than Authorization has a method Vary() string besides, which names it, as [Cookies] has:
// answers say so to caches.
type Transport interface {
	// Read returns the tokens of a request. Its errors are [ErrNoToken], [ErrMalformed] and
	// [ErrCrossSite].
	Read(r *http.Request) (Presented, error)
	// Write puts a pair into the header of an answer, in place of what it wrote before.
	Write(header http.Header, pair sessionstore.TokenPair)
	// Clear puts into the header that the client has no tokens any more.
	Clear(header http.Header)
	// Ambient reports whether clients send the tokens by themselves, whatever they ask for: where
	// they are not valid, nobody has claimed to be anyone.
	Ambient() bool
}

// Presented are the tokens of a request.
type Presented struct {
	// Scheme is Bearer, or [dpop.Scheme] for a token that a proof belongs to.
	//
	// [dpop.Scheme]: https://pkg.go.dev/github.com/latchkey-sessions/latchkey/dpop#Scheme
	Scheme string
	// Access is the access token. It may be empty if there is a Refresh.
	Access tokens.Secret
	// Refresh is the refresh token, where the middleware is to refresh; else it is empty.
	Refresh tokens.Secret
}

// Bearer is the transport of clients that keep their tokens themselves: the access token is in
// the Authorization header, and answers have no tokens but those that handlers put there.
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

// Ambient tells that clients decide when to send their token.
func (Bearer) Ambient() bool { return false }

// Header is [Bearer] for an access token that is the value of a header of this name, where
// a proxy needs Authorization for itself.
type Header string

// Read returns the token of the header.
func (h Header) Read(r *http.Request) (Presented, error) {
	return bearerOf(r.Header.Values(string(h)))
}

// bearerOf takes what stands where a request has its token, once if at all.
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

// Ambient tells that clients decide when to send their token.
func (Header) Ambient() bool { return false }

// Vary has caches keep what one client gets from others (RFC 9110 §12.5.5).
func (h Header) Vary() string { return string(h) }
