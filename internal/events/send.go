package events

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	// sendTimeout is one attempt's.
	sendTimeout = 10 * time.Second
	// idleTimeout is for how long a connection is kept for another delivery.
	idleTimeout = 90 * time.Second
	// mostAnswered is how much of an answer is read, so that its connection can be used again.
	mostAnswered = 16 << 10
)

// endpoint is an [Endpoint] with its connections.
type endpoint struct {
	Endpoint

	client *http.Client
	woken  chan struct{}
}

func newEndpoint(e Endpoint) *endpoint {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: atOnce, IdleConnTimeout: idleTimeout}
	return &endpoint{
		Endpoint: e, woken: make(chan struct{}, 1),
		client: &http.Client{
			Transport: transport, Timeout: sendTimeout,
			// An event goes where the operator said, and nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// wake has the worker look for deliveries at once.
func (e *endpoint) wake() {
	select {
	case e.woken <- struct{}{}:
	default: // it is woken already
	}
}

// message is the body of a delivery, in the shape that the Standard Webhooks specification
// recommends.
type message struct {
	Type      Type            `json:"type"`
	Timestamp time.Time       `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

// send delivers once. The webhook-id is the event's, the same at each attempt. Receivers
// refuse a delivery whose time is wrong, and a replica's clock may be: the time is the
// database's.
func (e *endpoint) send(ctx context.Context, d delivery) error {
	secret, err := e.Secret()
	if err != nil {
		return fmt.Errorf("read the endpoint's secret: %w", err)
	}
	signer, err := webhooks.NewWebhook(string(secret))
	if err != nil {
		return errors.New("the endpoint's secret is not base64") // the cause shows a part of it
	}
	body, err := json.Marshal(message{Type: d.kind, Timestamp: d.at.UTC(), Data: d.facts})
	if err != nil {
		return fmt.Errorf("encode the event: %w", err)
	}
	signature, err := signer.Sign(d.event.String(), d.now, body)
	if err != nil {
		return fmt.Errorf("sign the event: %w", err)
	}
	return e.post(ctx, body, map[string]string{
		"Content-Type":                  "application/json",
		webhooks.HeaderWebhookID:        d.event.String(),
		webhooks.HeaderWebhookTimestamp: strconv.FormatInt(d.now.Unix(), 10),
		webhooks.HeaderWebhookSignature: signature,
	})
}

// post sends the body, and wants an answer that takes it.
func (e *endpoint) post(ctx context.Context, body []byte, headers map[string]string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, string(e.URL), bytes.NewReader(body))
	if err != nil {
		return withoutURL(err)
	}
	request.Header.Set("User-Agent", "latchkey")
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := e.client.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.CopyN(io.Discard, response.Body, mostAnswered)
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("the endpoint answered %d", response.StatusCode)
	}
	return nil
}

// withoutURL takes the URL out of an error: it may hold a password, and the error goes into
// the delivery's row and the log.
func withoutURL(err error) error {
	if withURL, ok := errors.AsType[*url.Error](err); ok {
		err = withURL.Err
	}
	return fmt.Errorf("the endpoint cannot be reached: %w", err)
}
