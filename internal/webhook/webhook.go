// Package webhook sends signed messages to an operator's endpoints
// (https://www.standardwebhooks.com). Its errors go into rows and logs: none has a URL or a
// secret, and each is worded to follow the name of the receiver, as in "the
// endpoint answered 500".
package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// A message that is not accepted is sent again after 5 s, 10 s, 20 s and so on, up to once per hour, for
// about a day.
const (
	FirstPause   = 5 * time.Second
	LastPause    = time.Hour
	MostAttempts = 34
)

const (
	// idleTimeout is how long a connection is kept for another message.
	idleTimeout = 90 * time.Second
	// mostAnswered is how much of an answer is read so that its connection can be reused.
	mostAnswered = 16 << 10
)

// ErrSecret is the error for a secret that is not whsec_ and base64. It reveals nothing of the
// secret.
var ErrSecret = errors.New("has a secret that is not base64")

// errTimeout replaces net/http's message, which refers to its own code.
var errTimeout = errors.New("did not answer in time")

// Message is what is sent. Its ID and Body are the same at each attempt. Receivers refuse a
// message whose time is wrong, and a replica's clock may be: At is the present time by the
// database's clock.
type Message struct {
	ID   uuid.UUID
	At   time.Time
	Body []byte // JSON
}

// Client sends messages to one receiver. It is safe for concurrent use.
type Client struct {
	http *http.Client
	// rests is until when the receiver asks to be sent nothing.
	rests atomic.Pointer[time.Time]
}

// New returns a client with a time limit per attempt, and a maximum number of idle connections
// per host.
func New(timeout time.Duration, connections int) *Client {
	return &Client{http: &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: connections, IdleConnTimeout: idleTimeout,
		},
		Timeout: timeout,
		// A message goes where the operator said, and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Rests is how long the receiver still asks to be sent nothing, by its answers so far. [Client.Send] and [Client.Push]
// do not wait: their caller must.
func (c *Client) Rests() time.Duration {
	until := c.rests.Load()
	if until == nil {
		return 0
	}
	return max(0, time.Until(*until))
}

func (c *Client) rest(d time.Duration) {
	until := time.Now().Add(d)
	for {
		last := c.rests.Load()
		if last != nil && last.After(until) || c.rests.CompareAndSwap(last, &until) {
			return
		}
	}
}

// Pause is the pause after a failed attempt; the first one is 1.
func Pause(attempt int) time.Duration {
	if doublings := attempt - 1; doublings < 10 { // the tenth would be over an hour
		return min(LastPause, FirstPause<<doublings)
	}
	return LastPause
}

// CheckSecret returns [ErrSecret], or nil for a usable secret.
func CheckSecret(secret tokens.Secret) error {
	_, err := signer(secret)
	return err
}

func signer(secret tokens.Secret) (*webhooks.Webhook, error) {
	s, err := webhooks.NewWebhook(string(secret))
	if err != nil {
		return nil, ErrSecret // the cause reveals part of it
	}
	return s, nil
}

// Send sends a message once, and requires a response that accepts it: a status of 2xx.
func (c *Client) Send(ctx context.Context, to string, secret tokens.Secret, m Message) error {
	s, err := signer(secret)
	if err != nil {
		return err
	}
	signature, err := s.Sign(m.ID.String(), m.At, m.Body)
	if err != nil {
		return fmt.Errorf("gets no delivery that cannot be signed: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(m.Body))
	if err != nil {
		return withoutURL(err)
	}
	for name, value := range map[string]string{
		"Content-Type":           "application/json",
		webhooks.HeaderWebhookID: m.ID.String(), webhooks.HeaderWebhookTimestamp: strconv.FormatInt(m.At.Unix(), 10), webhooks.HeaderWebhookSignature: signature,
	} {
		request.Header.Set(name, value)
	}
	answered, err := c.do(request)
	if err == nil && (answered.status < 200 || answered.status > 299) {
		err = c.refusal(answered, fmt.Sprintf("answered %d", answered.status))
	}
	return err
}

// do returns the answer.
func (c *Client) do(request *http.Request) (answer, error) {
	request.Header.Set("User-Agent", "latchkey")
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, withoutURL(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(response.Body, mostAnswered)) // the status counts
	return answer{response.StatusCode, response.Header, body}, nil
}

// refusal is an answer as an error. The receiver is left alone for as long as it requests.
func (c *Client) refusal(a answer, text string) error {
	refused := &RefusedError{min(a.retryAfter(), LastPause), text}
	if refused.retryAfter > 0 {
		c.rest(refused.retryAfter)
	}
	return refused
}

// withoutURL removes the URL from an error: it may hold a password.
func withoutURL(err error) error {
	if withURL, ok := errors.AsType[*url.Error](err); ok {
		if withURL.Timeout() {
			return errTimeout // in whichever part of it
		}
		err = withURL.Err
	}
	return fmt.Errorf("cannot be reached: %w", err)
}
