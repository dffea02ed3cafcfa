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
	// defaultTimeout is more than the service gives itself for a request.
	defaultTimeout  = 15 * time.Second
	defaultAttempts = 4
	// idleConns to one service: a request that finds none has to make a connection.
	idleConns = 128
	// idleTime is shorter than the service keeps a connection, which else might be closed on a request.
	idleTime = 90 * time.Second
	// connectTime leaves an attempt time for others.
	connectTime = 5 * time.Second
	// maxHeaderBytes is far more than the service sends.
	maxHeaderBytes = 64 << 10
)

// Client calls one service. It may be used by several goroutines at once, and should be: it
// keeps connections.
type Client struct {
	base *url.URL
	// authorization is behind a pointer, which is what a dump of the struct shows.
	authorization *string
	http          *http.Client
	timeout       time.Duration
	attempts      int
}

// Option changes how a [Client] calls.
type Option func(*Client) error

// New returns a client of the internal listener at an address such as
// http://127.0.0.1:8081, with one of the service's keys. It makes no connection yet.
//
// It speaks HTTP/1.1 over connections that stay open. Redirects are not followed, and no proxy
// is used that the environment names: the key is for the service alone.
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

// isVisible reports whether a text may stand in a header, and is of visible ASCII characters alone.
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

// WithTransport has requests sent by a transport of the caller's own, such as one with a
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

// WithTimeout bounds each attempt: 15 s unless it is given. The context bounds all of a call.
func WithTimeout(timeout time.Duration) Option {
	return func(c *Client) error {
		if timeout <= 0 {
			return errors.New("client: the timeout must be more than 0")
		}
		c.timeout = timeout
		return nil
	}
}

// WithAttempts says how often a call is made that may be made again: 4 times unless it is
// given, and once with 1.
func WithAttempts(attempts int) Option {
	return func(c *Client) error {
		if attempts < 1 {
			return errors.New("client: there must be 1 attempt or more")
		}
		c.attempts = attempts
		return nil
	}
}

// String names the service, without the key.
func (c *Client) String() string { return "client of " + c.base.String() }

// GoString is [Client.String].
func (c *Client) GoString() string { return c.String() }
