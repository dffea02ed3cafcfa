package serve

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/metrics"
	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// described tells metrics what the signing keys are used for, and since when. The ring is that of keys in a file.
func (k storedKeys) described(ring *tokens.KeyRing) func(context.Context) ([]metrics.SigningKey, error) {
	if k.Store == nil {
		return func(context.Context) ([]metrics.SigningKey, error) { return keysOfFile(ring), nil }
	}
	return func(ctx context.Context) ([]metrics.SigningKey, error) {
		list, err := k.List(ctx)
		if err != nil {
			return nil, err
		}
		keys := make([]metrics.SigningKey, len(list))
		for i, key := range list {
			keys[i] = metrics.SigningKey{State: keyStates[key.State], SignsFrom: key.SignsFrom}
		}
		return keys, nil
	}
}

var keyStates = map[keystore.State]metrics.KeyState{
	keystore.Published: metrics.KeyPublished,
	keystore.Signing:   metrics.KeySigns,
	keystore.Verifying: metrics.KeyVerifies,
}

// keysOfFile knows of a key when it was made, if we made it: its id has the time.
func keysOfFile(ring *tokens.KeyRing) []metrics.SigningKey {
	list := ring.Keys()
	keys := make([]metrics.SigningKey, len(list))
	for i, key := range list {
		keys[i].State = metrics.KeyVerifies
		if !key.Signs {
			continue
		}
		keys[i].State = metrics.KeySigns
		if id, err := uuid.Parse(key.ID); err == nil && id.Version() == 7 {
			seconds, nanoseconds := id.Time().UnixTime()
			keys[i].SignsFrom = time.Unix(seconds, nanoseconds)
		}
	}
	return keys
}
