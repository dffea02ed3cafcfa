package load

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
)

// answerPatience is after what time a server that does not answer counts as broken.
const answerPatience = 30 * time.Second

// UserAgent is what clients call themselves: of the length that browsers do.
const UserAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"

// Types of a body.
const (
	Form = "application/x-www-form-urlencoded"
	JSON = "application/json"
)

// Client sends requests to one server over keep-alive connections, as many as are under way at once.
type Client struct {
	// Address is the server's host and port.
	Address string

	host *fasthttp.HostClient
}

// NewClient returns a client of a host and port.
func NewClient(address string) *Client {
	return &Client{address, &fasthttp.HostClient{
		Addr: address, Name: UserAgent, ReadTimeout: answerPatience, WriteTimeout: answerPatience,
		// A failed request must be noticed.
		MaxIdemponentCallAttempts: 1, RetryIfErr: func(*fasthttp.Request, int, error) (bool, bool) { return false, false },
	}}
}

// Close closes the connections.
func (c *Client) Close() { c.host.CloseIdleConnections() }

// Request is what is sent. Empty values are left out.
type Request struct {
	Method, Path                   string
	Authorization, Cookie, IfMatch string
	Type, Body                     string
}

// Do sends a request and returns the answer's status and body.
func (c *Client) Do(r Request) (status int, body []byte, err error) {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.Header.SetMethod(r.Method)
	request.SetRequestURI(r.Path)
	request.Header.SetHost("localhost")
	request.Header.Set("Accept", "*/*")
	for _, header := range [...]struct{ name, value string }{
		{"Authorization", r.Authorization}, {"Cookie", r.Cookie}, {"If-Match", r.IfMatch}, {"Content-Type", r.Type},
	} {
		if header.value != "" {
			request.Header.Set(header.name, header.value)
		}
	}
	request.SetBodyString(r.Body)
	err = c.host.Do(request, response)
	return response.StatusCode(), slices.Clone(response.Body()), err
}

// Send returns the body of the answer, which must have the expected status.
func (c *Client) Send(want int, r Request) ([]byte, error) {
	status, body, err := c.Do(r)
	if err == nil && status != want {
		err = fmt.Errorf("the answer to %s %s is %d, not %d: %s", r.Method, r.Path, status, want, body)
	}
	return body, err
}

// Member returns a string member of a JSON document that needs no decoding: a token, an id.
func Member(body []byte, name string) (string, error) {
	_, rest, found := bytes.Cut(body, []byte(`"`+name+`":"`))
	value, _, ends := bytes.Cut(rest, []byte(`"`))
	if !found || !ends {
		return "", fmt.Errorf("the answer has no %s", name)
	}
	return string(value), nil
}
