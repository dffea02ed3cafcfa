package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/google/uuid"
)

// SessionClaims returns a session's own claims, `{}` for none, and the checksum with which they
// can be replaced (getSessionClaims), which is not that of the data. It needs the right read.
//
// Errors are those of [Client.Session].
func (c *Client) SessionClaims(ctx context.Context, id uuid.UUID) (Claims, Checksum, error) {
	claims, header, err := ask[Claims](ctx, c, call{
		operation: "getSessionClaims", method: http.MethodGet, path: sessionPath(id) + "/claims", again: true,
	})
	return claims, checksumOf(header), err
}

// PutSessionClaims replaces a session's claims as a whole (putSessionClaims) and returns their new
// checksum. checksum is the one that was read with the claims: it is sent as If-Match (RFC 9110
// §13.1.1). Access tokens have the claims from the next refresh on; with supersede, earlier ones
// are refused. It needs the right create.
//
// Errors are those of [Client.PutSessionData].
func (c *Client) PutSessionClaims(ctx context.Context, id uuid.UUID, checksum Checksum, claims Claims, supersede bool) (Checksum, error) {
	query := url.Values{}
	if supersede {
		query.Set("supersede", "true")
	}
	version, _, err := ask[version](ctx, c, call{
		operation: "putSessionClaims", method: http.MethodPut, path: sessionPath(id) + "/claims", query: query,
		header: ifMatch(checksum), body: claims,
	})
	return version.Checksum, err
}
