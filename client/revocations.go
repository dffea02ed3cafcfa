package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// RevocationsQuery is what [Client.Revocations] asks for.
type RevocationsQuery struct {
	// Since is the Cursor of the previous answer; empty for the whole set.
	Since string
	// Wait, in whole seconds up to 30, is how long to wait for a revocation.
	Wait time.Duration
	// Shard is one of the Shards named in the answer for the first shard; zero for the first.
	Shard int
}

// Revocations returns what is new in the set of revoked sessions and superseded access tokens
// (getRevocations), for verifiers that check tokens locally. It needs the right revocations.
//
// Package verifier follows them on its own, as a stream: see its NewRemote.
//
// Errors are [ErrInvalidArgument], [ErrServiceKey], [ErrMissingRight] and [ErrUnavailable].
func (c *Client) Revocations(ctx context.Context, what RevocationsQuery) (Revocations, error) {
	query := url.Values{}
	setText(query, "since", what.Since)
	if what.Wait > 0 {
		query.Set("wait", strconv.FormatInt(int64(what.Wait/time.Second), 10))
	}
	if what.Shard != 0 {
		query.Set("shard", strconv.Itoa(what.Shard))
	}
	revocations, _, err := ask[Revocations](ctx, c, call{
		operation: "getRevocations", method: http.MethodGet, path: "/v1/revocations", query: query, again: true, wait: what.Wait,
	})
	return revocations, err
}
