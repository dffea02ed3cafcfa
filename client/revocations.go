package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Revocations returns what is new in the set of revoked sessions and superseded access tokens
// (getRevocations), for verifiers that check tokens locally. since is the Cursor of the answer
// before; empty for the whole set. wait, in whole seconds up to 30, is how long to wait for a
// revocation. It needs the right revocations.
//
// Package verifier follows them by itself, as a stream: see its Remote.
//
// Errors are [ErrInvalidArgument], [ErrServiceKey], [ErrMissingRight] and [ErrUnavailable].
func (c *Client) Revocations(ctx context.Context, since string, wait time.Duration) (Revocations, error) {
	query := url.Values{}
	setText(query, "since", since)
	if wait > 0 {
		query.Set("wait", strconv.FormatInt(int64(wait/time.Second), 10))
	}
	revocations, _, err := ask[Revocations](ctx, c, call{
		operation: "getRevocations", method: http.MethodGet, path: "/v1/revocations", query: query, again: true, wait: wait,
	})
	return revocations, err
}
