package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// SessionFilter selects the sessions to list. Zero selects all live ones.
type SessionFilter struct {
	// Subject is the user; empty for all.
	Subject string
	// Ended lists sessions that have ended instead, and Since those that ended at that time or
	// later.
	Ended bool
	Since time.Time
	// Address is an IP address, or a network in CIDR notation, from which they were created or
	// last refreshed.
	Address string
	// Label is that of their client.
	Label string
	// Cursor is the NextCursor of the previous page.
	Cursor string
	// Limit is the maximum number on a page, up to 200; 0 means 50.
	Limit int
}

func (f SessionFilter) query() url.Values {
	query := url.Values{}
	setText(query, "subject", f.Subject)
	if f.Ended {
		query.Set("ended", "true")
	}
	if !f.Since.IsZero() {
		query.Set("since", f.Since.UTC().Format(time.RFC3339Nano))
	}
	setText(query, "address", f.Address)
	setText(query, "label", f.Label)
	setPage(query, f.Cursor, f.Limit)
	return query
}

// ListSessions returns one page of sessions, newest first and without their data (listSessions).
// A page may have fewer than requested, or none, although more follow. It needs the right read.
//
// Errors are [ErrInvalidArgument], [ErrServiceKey], [ErrMissingRight] and [ErrUnavailable].
func (c *Client) ListSessions(ctx context.Context, filter SessionFilter) (SessionPage, error) {
	page, _, err := ask[SessionPage](ctx, c, call{
		operation: "listSessions", method: http.MethodGet, path: "/v1/sessions", query: filter.query(), again: true,
	})
	return page, err
}

// Sessions iterates over all of [Client.ListSessions], a page at a time. It ends with the
// first error.
func (c *Client) Sessions(ctx context.Context, filter SessionFilter) iter.Seq2[ListedSession, error] {
	return pages(filter.Cursor, func(cursor string) ([]ListedSession, string, error) {
		filter.Cursor = cursor
		page, err := c.ListSessions(ctx, filter)
		return page.Sessions, page.NextCursor, err
	})
}

// pages yields what is on each page, starting at the cursor.
func pages[T any](cursor string, get func(cursor string) (items []T, next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for at := cursor; ; {
			items, next, err := get(at)
			if err != nil {
				yield(*new(T), err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			at = next
		}
	}
}

// setText omits an empty value.
func setText(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

func setPage(query url.Values, cursor string, limit int) {
	setText(query, "cursor", cursor)
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
}
