package events

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/webhook"
)

// sendTimeout is one attempt's.
const sendTimeout = 10 * time.Second

// endpoint is an [Endpoint] with its connections.
type endpoint struct {
	Endpoint

	client *webhook.Client
	woken  chan struct{}
}

func newEndpoint(e Endpoint) *endpoint {
	return &endpoint{Endpoint: e, woken: make(chan struct{}, 1), client: webhook.New(sendTimeout, atOnce)}
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

// send delivers once. The message's id is the event's.
func (e *endpoint) send(ctx context.Context, d delivery) error {
	secret, err := e.Secret()
	if err != nil {
		return fmt.Errorf("read the endpoint's secret: %w", err)
	}
	body, err := json.Marshal(message{Type: d.kind, Timestamp: d.at.UTC(), Data: d.facts})
	if err != nil {
		return fmt.Errorf("encode the event: %w", err)
	}
	if err := e.client.Send(ctx, string(e.URL), secret, webhook.Message{ID: d.event, At: d.now, Body: body}); err != nil {
		return fmt.Errorf("the endpoint %w", err)
	}
	return nil
}
