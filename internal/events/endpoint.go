package events

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/webhook"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// atOnce is how many deliveries to one endpoint a replica has under way.
	atOnce = 8
	// sendTimeout limits an attempt to deliver.
	sendTimeout = 10 * time.Second
)

// endpoint is an [Endpoint] with its connections.
type endpoint struct {
	Endpoint

	client *webhook.Client
	woken  chan struct{}
	issuer string
	sign   func(tokens.SecurityEvent) ([]byte, error)
}

func newEndpoint(e Endpoint, cfg Config) *endpoint {
	return &endpoint{Endpoint: e, woken: make(chan struct{}, 1), client: webhook.New(sendTimeout, atOnce), issuer: cfg.Issuer, sign: cfg.Sign}
}

// wake makes the worker look for deliveries at once.
func (e *endpoint) wake() {
	select {
	case e.woken <- struct{}{}:
	default: // it is already woken
	}
}

// delivery is one that was taken.
type delivery struct {
	id       int64
	event    uuid.UUID
	kind     Type
	at       time.Time
	facts    json.RawMessage
	attempts int
	// now is the database's time when it was taken.
	now time.Time
}

// facts are the results of deriveQuery that a Security Event Token needs.
type facts struct {
	Session string `json:"session_id"`
	Subject string `json:"subject"`
	Reason  string `json:"reason"`
	Client  struct {
		UserAgent string `json:"user_agent"`
	} `json:"client"`
}
