package sessionhttp

import (
	"cmp"
	"mime"
	"net/http"
	"strings"

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

var (
	// ErrNoToken says that a request carries no bearer token.
	ErrNoToken = authorization.ErrNoToken
	// ErrMalformed says that a request has an Authorization header that is not
	// one bearer token.
	ErrMalformed = authorization.ErrMalformed
)

// BearerToken returns the token of the request's Authorization header (RFC
// 6750 §2.1), [ErrNoToken] or [ErrMalformed]. Tokens in a form or a query
// string are ignored: they end up in logs (RFC 9700 §4.3.2).
func BearerToken(r *http.Request) (string, error) {
	scheme, token, err := AccessToken(r)
	if err == nil && scheme != authorization.Bearer {
		return "", ErrMalformed
	}
	return token, err
}

// AccessToken is [BearerToken] for a token that may also be bound to a key: its
// scheme is Bearer, or [dpop.Scheme] (RFC 9449 §7.1), which requires a proof.
func AccessToken(r *http.Request) (scheme, token string, err error) {
	scheme, token, err = authorization.Token(r)
	if strings.ContainsAny(token, " \t,") {
		return "", "", ErrMalformed
	}
	return scheme, token, err
}

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
