package serve

import (
	"context"
	"errors"
	"slices"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/trail"
	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// takesSETs reports whether an endpoint takes Security Event Tokens.
func takesSETs(endpoints []events.Endpoint) bool {
	return slices.ContainsFunc(endpoints, func(e events.Endpoint) bool { return e.Format == events.FormatSET })
}

// signsEvents checks, before anything is served, that receivers can verify the Security Event Tokens.
func signsEvents(store *sessionstore.Store, endpoints []events.Endpoint) error {
	if !takesSETs(endpoints) {
		return nil
	}
	if _, err := store.SignSecurityEvent(tokens.SecurityEvent{}); errors.Is(err, tokens.ErrNotPublic) {
		return errors.New(`LATCHKEY_EVENTS_FILE has an endpoint with "format": "set", but the signing key is an HMAC key, which no other service can verify with; it must be one of the other algorithms`)
	} else if err != nil {
		return err
	}
	return nil
}

// deadEvents gives the API the deliveries that were given up, and records who resends them.
type deadEvents struct {
	events.Queue
	trail trail.Trail
}

// Dead implements [httpapi.DeadEvents].
func (d deadEvents) Dead(ctx context.Context, endpoint string, before int64, most int) ([]httpapi.DeadEvent, error) {
	dead, err := d.Queue.Dead(ctx, events.DeadParams{Endpoint: endpoint, Before: before}, most)
	shown := make([]httpapi.DeadEvent, len(dead))
	for i, e := range dead {
		shown[i] = httpapi.DeadEvent{
			ID: e.ID, Endpoint: e.Endpoint, EventID: e.Event, Type: string(e.Type), SessionID: e.Session,
			At: e.At.UTC(), DeadAt: e.DeadAt.UTC(), Attempts: e.Attempts, Error: e.Error,
		}
	}
	return shown, err
}

// Resend implements [httpapi.DeadEvents].
func (d deadEvents) Resend(ctx context.Context, ids []int64, endpoint string) (int64, error) {
	n, err := d.Queue.Resend(ctx, ids, endpoint)
	if n > 0 {
		d.trail.Record(ctx, audit.Event{Name: audit.EventsSentAgain, Count: n, DeliveryIDs: ids, Endpoint: endpoint, All: ids == nil && endpoint == ""})
	}
	return n, err
}
