package client

import (
	"context"
	"net/http"
)

// Index returns what the service is and where it is described (getIndex). Like the methods that
// follow, it sends no key.
func (c *Client) Index(ctx context.Context) (Index, error) {
	index, _, err := ask[Index](ctx, c, call{operation: "getIndex", method: http.MethodGet, path: "/", again: true, open: true})
	return index, err
}

// Description returns the listener's OpenAPI document, in YAML (getDescription).
func (c *Client) Description(ctx context.Context) ([]byte, error) {
	return c.text(ctx, call{operation: "getDescription", path: "/openapi.yaml", again: true}, "application/yaml")
}

// Livez returns nil if the process answers (livez). It is not retried.
func (c *Client) Livez(ctx context.Context) error {
	_, err := c.text(ctx, call{operation: "livez", path: "/livez"}, "application/json")
	return err
}

// Readyz returns nil if the service's database answers, and its time is known (readyz). It is
// not retried. Otherwise the error is [ErrUnavailable].
func (c *Client) Readyz(ctx context.Context) error {
	_, err := c.text(ctx, call{operation: "readyz", path: "/readyz"}, "application/json")
	return err
}

// Metrics returns the service's metrics in Prometheus' text format (metrics).
func (c *Client) Metrics(ctx context.Context) ([]byte, error) {
	return c.text(ctx, call{operation: "metrics", path: "/metrics", again: true}, "text/plain")
}

// text gets a document that needs no key, unchanged.
func (c *Client) text(ctx context.Context, call call, mediaType string) ([]byte, error) {
	call.method, call.open, call.header = http.MethodGet, true, http.Header{"Accept": {mediaType}}
	a, err := c.send(ctx, call)
	return a.body, err
}
