package dpop

import (
	"fmt"
	"net/http"
	"strings"
)

const (
	// Scheme is the authentication scheme of bound access tokens (RFC 9449 §7.1).
	Scheme = "DPoP"
	// Header is the header that carries a proof.
	Header = "DPoP"
	// NonceHeader carries the nonce for the next proof.
	NonceHeader = "DPoP-Nonce"
)

// FromHeader returns the proof of a request, or an empty string if it has none.
// More than one is an [ErrInvalid] (RFC 9449 §4.3, check 1), as is an empty one.
func FromHeader(h http.Header) (string, error) {
	values := h.Values(Header)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1 || values[0] == "":
		return "", invalid("not exactly one DPoP header")
	}
	return values[0], nil
}

// CheckRequest is [Checker.Check] for the proof of a request that has no access
// token, such as one to the token endpoint. It returns nil if there is no
// proof.
func (c *Checker) CheckRequest(r *http.Request) (*Proof, error) {
	header, err := FromHeader(r.Header)
	if err != nil || header == "" {
		return nil, err
	}
	proof, err := c.Check(header, c.want(r, ""))
	if err != nil {
		return nil, err
	}
	return &proof, nil
}

// Confirm decides about a valid access token by how it was presented: scheme is
// that of the Authorization header, thumbprint the token's cnf.jkt or empty. A
// token that is not bound is a bearer token; one that is bound needs the scheme
// [Scheme] and a proof, which it uses up (RFC 9449 §7.1, §7.2).
//
// Errors are [ErrNotBound], [ErrInvalid] and [ErrUnavailable]. A nil Checker
// accepts only bearer tokens.
func (c *Checker) Confirm(r *http.Request, scheme, accessToken, thumbprint string) error {
	isBound := strings.EqualFold(scheme, Scheme)
	switch {
	case !isBound && thumbprint == "":
		return nil
	case !isBound:
		return fmt.Errorf("%w: it was presented as a bearer token", ErrNotBound)
	case thumbprint == "":
		return fmt.Errorf("%w: it is a bearer token", ErrNotBound)
	case c == nil:
		return fmt.Errorf("%w: %w", ErrNotBound, errNoChecker)
	}
	header, err := FromHeader(r.Header)
	if err != nil {
		return err
	}
	proof, err := c.Check(header, c.want(r, accessToken))
	if err != nil {
		return err
	}
	if proof.Thumbprint != thumbprint {
		return fmt.Errorf("%w: the proof is of another one", ErrNotBound)
	}
	return c.Spend(proof)
}

func (c *Checker) want(r *http.Request, accessToken string) Request {
	return Request{Method: r.Method, URL: strings.TrimSuffix(c.cfg.BaseURL, "/") + r.URL.EscapedPath(), AccessToken: accessToken}
}

// SetNonce adds the nonce for the client's next proof to a response, if nonces
// are required (RFC 9449 §8.2). A nil Checker does nothing.
func (c *Checker) SetNonce(h http.Header) {
	if c != nil && c.cfg.Nonces != nil {
		h.Set(NonceHeader, c.cfg.Nonces.next(c.cfg.Now()))
	}
}

// Challenge is the WWW-Authenticate of a response to a request without a valid
// token (RFC 9449 §7.1). realm and code may be empty; neither may contain quotes.
func Challenge(realm, code string) string {
	var parameters []string
	if realm != "" {
		parameters = append(parameters, `realm="`+realm+`"`)
	}
	if code != "" {
		parameters = append(parameters, `error="`+code+`"`)
	}
	return Scheme + " " + strings.Join(append(parameters, `algs="`+algorithmNames+`"`), ", ")
}
