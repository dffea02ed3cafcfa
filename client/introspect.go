package client

import (
	"context"
	"net/http"
	"net/url"
)

// IntrospectToken asks whether an access token is active (introspectToken, RFC 7662), and for its
// session. An inactive token, for whatever reason, is not an error: Active is false. The tokens of
// a session that has ended are inactive at once. It needs the right introspect, and for Session's
// Data and Checksum read-data.
//
// A token that is bound to a key (Cnf) must come with a proof of it (RFC 9449 §7): pass it on in the
// request, or check it yourself.
//
// Errors are [ErrInvalidArgument], [ErrServiceKey], [ErrMissingRight] and [ErrUnavailable]: answer
// with 503 then, never with 401.
func (c *Client) IntrospectToken(ctx context.Context, request IntrospectionRequest) (Introspection, error) {
	form := url.Values{"token": {string(request.Token)}}
	setText(form, "confirm", request.Confirm)
	setText(form, "dpop", string(request.Proof))
	setText(form, "dpop_htm", request.ProofMethod)
	setText(form, "dpop_htu", request.ProofURL)
	introspection, _, err := ask[Introspection](ctx, c, call{
		operation: "introspectToken", method: http.MethodPost, path: "/oauth2/introspect", form: form, again: request.Proof == "", has: "active",
	})
	return introspection, err
}
