package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	// firstPause is the maximum pause after the first attempt. Each further one may be twice as
	// long.
	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
	// maxRetryAfter is the longest Retry-After that is waited for.
	maxRetryAfter = 30 * time.Second
)

// send makes the call, and repeats it as often as allowed.
func (c *Client) send(ctx context.Context, call call) (answer, error) {
	body, err := call.encoded()
	if err != nil {
		return answer{}, err
	}
	longest := firstPause
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return answer{}, fmt.Errorf("%s: %w", call.operation, ctx.Err())
		}
		a, err := c.once(ctx, call, body)
		if err == nil || attempt >= c.attempts || !isRetriable(call, err) {
			return a, err
		}
		if !rest(ctx, longest, err) {
			return answer{}, err
		}
		longest = min(2*longest, maxPause)
	}
}

// isRetriable reports whether a call that failed may be made again.
func isRetriable(call call, err error) bool {
	if refused, ok := errors.AsType[*Error](err); ok {
		return call.again && refused.Status == http.StatusServiceUnavailable && refused.RetryAfter <= maxRetryAfter
	}
	_, ok := errors.AsType[*unanswered](err)
	return ok && (call.again || isUnsent(err))
}

// rest waits after a failure, and reports whether there is time for another attempt.
func rest(ctx context.Context, longest time.Duration, failure error) bool {
	pause := rand.N(longest) //nolint:gosec // not a secret
	if refused, ok := errors.AsType[*Error](failure); ok {
		pause += refused.RetryAfter
	}
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= pause {
		return false
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ask makes the call and reads JSON from the response.
func ask[T any](ctx context.Context, c *Client, call call) (T, http.Header, error) {
	var document T
	a, err := c.send(ctx, call)
	if err != nil {
		return document, nil, err
	}
	if err := json.Unmarshal(a.body, &document); err != nil || call.has != "" && !hasMember(a.body, call.has) {
		// The error of encoding/json may quote the response, and with it a token.
		return *new(T), nil, fmt.Errorf("%s: the response is not one of this operation", call.operation)
	}
	return document, a.header, nil
}

func hasMember(document []byte, name string) bool {
	var members map[string]any
	return json.Unmarshal(document, &members) == nil && members[name] != nil
}
