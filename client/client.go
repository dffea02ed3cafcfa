package client

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// defaultTimeout is longer than the service's own limit for a request.
	defaultTimeout  = 15 * time.Second
	defaultAttempts = 4
	// idleConns is the number of idle connections to one service: a request that finds none
	// must open one.
	idleConns = 128
	// idleTime is shorter than the service keeps a connection, which might otherwise be closed during a
	// request.
	idleTime = 90 * time.Second
	// connectTime leaves time for further attempts.
	connectTime = 5 * time.Second
	// maxHeaderBytes is far more than the service sends.
	maxHeaderBytes = 64 << 10
)

// Client calls one service. It is safe for concurrent use, and should be shared: it
// keeps connections.
type Client struct {
	base *url.URL
	// authorization is a pointer, so that a dump of the struct shows only the pointer.
	authorization *string
	http          *http.Client
	timeout       time.Duration
	attempts      int
}

// Option configures a [Client].
type Option func(*Client) error

// New returns a client of the internal listener at an address such as
// http://127.0.0.1:8081, with one of the service's keys. It makes no connection yet.
//
// It speaks HTTP/1.1 over connections that stay open. Redirects are not followed, and proxies
// from the environment are not used: the key is only for the service.
func New(address, key string, options ...Option) (*Client, error) {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" ||
		base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("client: the address must be http:// or https:// with a host, and have neither user nor query")
	}
	if key == "" || !isVisible(key) {
		return nil, errors.New("client: the service key must consist of visible ASCII characters")
	}
	authorization := "Bearer " + key
	c := &Client{
		base: base, authorization: &authorization, timeout: defaultTimeout, attempts: defaultAttempts,
		http: &http.Client{
			Transport:     newTransport(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, option := range options {
		if err := option(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// isVisible reports whether a text may be in a header, and has only visible ASCII characters.
func isVisible(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' })
}

func newTransport() *http.Transport {
	http1 := new(http.Protocols)
	http1.SetHTTP1(true)
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: connectTime}).DialContext,
		TLSHandshakeTimeout:    connectTime,
		IdleConnTimeout:        idleTime,
		MaxIdleConnsPerHost:    idleConns,
		MaxResponseHeaderBytes: maxHeaderBytes,
		Protocols:              http1,
	}
}

// WithTransport sends requests through the given transport, such as one with a
// client certificate. It must not follow redirects.
func WithTransport(transport http.RoundTripper) Option {
	return func(c *Client) error {
		if transport == nil {
			return errors.New("client: the transport must not be nil")
		}
		c.http.Transport = transport
		return nil
	}
}

// WithTimeout limits each attempt, to 15 s by default. The context limits the whole call.
func WithTimeout(timeout time.Duration) Option {
	return func(c *Client) error {
		if timeout <= 0 {
			return errors.New("client: the timeout must be more than 0")
		}
		c.timeout = timeout
		return nil
	}
}

// WithAttempts sets how often a repeatable call is attempted: 4 times by default; 1
// disables retries.
func WithAttempts(attempts int) Option {
	return func(c *Client) error {
		if attempts < 1 {
			return errors.New("client: there must be 1 attempt or more")
		}
		c.attempts = attempts
		return nil
	}
}

// String returns the service's address, without the key.
func (c *Client) String() string { return "client of " + c.base.String() }

// GoString is [Client.String].
func (c *Client) GoString() string { return c.String() }
