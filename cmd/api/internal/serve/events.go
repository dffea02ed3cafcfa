package serve

import (
	"errors"
	"slices"

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
		return errors.New(`LATCHKEY_EVENTS_FILE has an endpoint with "format": "set", but the signing key is an HMAC key, which nobody else can verify with; it must be one of the other algorithms`)
	} else if err != nil {
		return err
	}
	return nil
}
