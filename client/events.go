package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
)

// DeadEventFilter selects the deliveries to list. Zero selects all.
type DeadEventFilter struct {
	// Endpoint is the name of their endpoint.
	Endpoint string
	// Cursor is the NextCursor of the previous page.
	Cursor string
	// Limit is the maximum number on a page, up to 200; 0 means 50.
	Limit int
}

// ListDeadEvents returns one page of the deliveries of events that are not retried automatically,
// newest first (listDeadEvents). They are kept for 14 days. It needs the right
// events.
//
// Errors are [ErrInvalidArgument], [ErrServiceKey], [ErrMissingRight] and [ErrUnavailable].
func (c *Client) ListDeadEvents(ctx context.Context, filter DeadEventFilter) (DeadEventsPage, error) {
	query := url.Values{}
	setText(query, "endpoint", filter.Endpoint)
	setPage(query, filter.Cursor, filter.Limit)
	page, _, err := ask[DeadEventsPage](ctx, c, call{
		operation: "listDeadEvents", method: http.MethodGet, path: "/v1/events/dead", query: query, again: true,
	})
	return page, err
}

// DeadEvents iterates over all of [Client.ListDeadEvents], a page at a time. It ends with the
// first error.
func (c *Client) DeadEvents(ctx context.Context, filter DeadEventFilter) iter.Seq2[DeadEvent, error] {
	return pages(filter.Cursor, func(cursor string) ([]DeadEvent, string, error) {
		filter.Cursor = cursor
		page, err := c.ListDeadEvents(ctx, filter)
		return page.Deliveries, page.NextCursor, err
	})
}

// ResendDeadEvents retries dead deliveries (resendDeadEvents), and returns how many. Zero retries
// all of them; IDs that are empty but not nil are refused. After an error some may already have
// been retried. If the call was repeated, the number is that of the last attempt. It needs
// the right events.
//
// Errors are those of [Client.ListDeadEvents].
func (c *Client) ResendDeadEvents(ctx context.Context, which Resend) (int64, error) {
	done, _, err := ask[resent](ctx, c, call{
		operation: "resendDeadEvents", method: http.MethodPost, path: "/v1/events/dead/resend", body: which, again: true,
	})
	return done.Resent, err
}

type resent struct {
	Resent int64 `json:"resent"`
}
