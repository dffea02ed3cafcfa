package client

import (
	"context"
	"net/http"

	"github.com/google/uuid"
)

// PutSessionData replaces a session's data (putSessionData) and returns the new checksum.
// checksum is the one that was read with the data: it is sent as If-Match (RFC 9110 §13.1.1). It
// needs the right write-data.
//
// Errors are [ErrConflict] if the data has been changed meanwhile, [ErrNotFound], [ErrEnded],
// [ErrInvalidArgument], [ErrServiceKey], [ErrMissingRight] and [ErrUnavailable], after which the
// data may have been replaced. See [Update], which reads and writes.
func (c *Client) PutSessionData(ctx context.Context, id uuid.UUID, checksum Checksum, data Data) (Checksum, error) {
	version, _, err := ask[version](ctx, c, call{
		operation: "putSessionData", method: http.MethodPut, path: sessionPath(id) + "/data", header: ifMatch(checksum), body: data,
	})
	return version.Checksum, err
}

// version is the response to a change of data or claims.
type version struct {
	Checksum Checksum `json:"checksum"`
}
