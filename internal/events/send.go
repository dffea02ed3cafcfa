package events

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/webhook"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// message is the body of a delivery, in the shape that the Standard Webhooks specification
// recommends.
type message struct {
	Type      Type            `json:"type"`
	Timestamp time.Time       `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

// send delivers once.
func (e *endpoint) send(ctx context.Context, d delivery) error {
	var secret tokens.Secret
	if e.Secret != nil {
		var err error
		if secret, err = e.Secret(); err != nil {
			return fmt.Errorf("read the endpoint's secret: %w", err)
		}
	}
	deliver := e.sendWebhook
	if e.Format == FormatSET {
		deliver = e.pushSET
	}
	return deliver(ctx, d, secret)
}

// sendWebhook sends a message whose id is the event's.
func (e *endpoint) sendWebhook(ctx context.Context, d delivery, secret tokens.Secret) error {
	body, err := json.Marshal(message{Type: d.kind, Timestamp: d.at.UTC(), Data: d.facts})
	if err != nil {
		return fmt.Errorf("encode the event: %w", err)
	}
	if err := e.client.Send(ctx, string(e.URL), secret, webhook.Message{ID: d.event, At: d.now, Body: body}); err != nil {
		return fmt.Errorf("the endpoint %w", err)
	}
	return nil
}
