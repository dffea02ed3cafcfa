package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswerBytes is far more than any response has: the largest is a page of 200
// sessions.
const maxAnswerBytes = 8 << 20

// call is one operation with its arguments.
type call struct {
	operation string
	method    string
	path      string
	query     url.Values
	header    http.Header
	body      any        // JSON
	form      url.Values // instead of body
	// again says that the call may be repeated although it may have been carried out.
	again bool
	// has is a member of each response, where JSON without it must not be taken for one: something on the way may answer
	// with JSON, too.
	has string
	// open says that the operation needs no key.
	open bool
	// wait is how much longer than other responses this one may take.
	wait time.Duration
}

// answer is a successful response.
type answer struct {
	header http.Header
	body   []byte
}

// once makes the call a single time.
func (c *Client) once(ctx context.Context, call call, body []byte) (answer, error) {
	bounded, cancel := context.WithTimeout(ctx, c.timeout+call.wait)
	defer cancel()
	r, err := c.request(bounded, call, body)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", call.operation, err)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return answer{}, noAnswer(ctx, call, err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	if err != nil {
		return answer{}, noAnswer(ctx, call, err)
	}
	if len(content) > maxAnswerBytes {
		return answer{}, fmt.Errorf("%s: the answer has more than %d bytes", call.operation, maxAnswerBytes)
	}
	if response.StatusCode/100 != 2 {
		return answer{}, refusal(call, response, content)
	}
	return answer{response.Header, content}, nil
}

func (c *Client) request(ctx context.Context, call call, body []byte) (*http.Request, error) {
	address := c.base.JoinPath(call.path)
	address.RawQuery = call.query.Encode()
	r, err := http.NewRequestWithContext(ctx, call.method, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range call.header {
		if !isVisible(values[0]) {
			return nil, fmt.Errorf("%w: the value for %s must consist of visible ASCII characters", ErrInvalidArgument, name)
		}
		r.Header[name] = values
	}
	switch {
	case call.form != nil:
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case call.body != nil:
		r.Header.Set("Content-Type", "application/json")
	}
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "application/json")
	}
	if !call.open {
		r.Header.Set("Authorization", *c.authorization)
	}
	return r, nil
}

// encoded is the call's body.
func (call call) encoded() ([]byte, error) {
	switch {
	case call.form != nil:
		return []byte(call.form.Encode()), nil
	case call.body == nil:
		return nil, nil
	}
	body, err := json.Marshal(call.body)
	if err != nil {
		// The error of encoding/json may quote the data.
		return nil, fmt.Errorf("%s: %w: it does not encode as JSON", call.operation, ErrInvalidArgument)
	}
	return body, nil
}

// noAnswer omits the address, whose query names users.
func noAnswer(ctx context.Context, call call, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", call.operation, ctx.Err())
	}
	return &unanswered{call.operation, err}
}

// isUnsent reports whether there was no connection on which to send the call.
func isUnsent(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "dial"
}

// refusal returns the [Error] of a response.
func refusal(call call, response *http.Response, content []byte) *Error {
	e := &Error{
		Operation: call.operation, Status: response.StatusCode,
		RequestID: response.Header.Get("X-Request-Id"), RetryAfter: retryAfter(response.Header),
		Checksum: checksumOf(response.Header),
	}
	mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")) // any other is not the service's
	switch mediaType {
	case "application/problem+json":
		var problem struct {
			Code      string `json:"code"`
			Title     string `json:"title"`
			Detail    string `json:"detail"`
			Pointer   string `json:"pointer"`
			Parameter string `json:"parameter"`
		}
		if json.Unmarshal(content, &problem) == nil {
			e.Code, e.Title, e.Detail, e.Pointer, e.Parameter = problem.Code, problem.Title, problem.Detail, problem.Pointer, problem.Parameter
		}
	case "application/json":
		var problem struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		if json.Unmarshal(content, &problem) == nil {
			e.Code, e.Detail = problem.Error, problem.Description
		}
	}
	return e
}

// checksumOf reads an ETag of the service, which is a checksum in double quotes.
func checksumOf(h http.Header) string { return strings.Trim(h.Get("ETag"), `"`) }

// ifMatch is the header that names the version to replace (RFC 9110 §13.1.1).
func ifMatch(checksum string) http.Header { return http.Header{"If-Match": {`"` + checksum + `"`}} }
