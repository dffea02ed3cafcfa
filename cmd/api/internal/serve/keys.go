package serve

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/internal/metrics"
	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// storedKeys are the signing keys in PostgreSQL, or none if they are in a file, where they do not change.
type storedKeys struct{ *keystore.Store }

// openKeys fills in the ring, and makes the store look for unknown keys.
func (s *service) openKeys(ctx context.Context, db database.Pools, copies []keystore.Copy, id *identity, cfg *sessionstore.Config) (storedKeys, error) {
	if id.ring != nil {
		return storedKeys{}, nil
	}
	keys, err := s.Open(db.Tasks, keystore.Config{RotateEvery: time.Duration(s.KeyRotationInterval), Direct: db.Direct, Copies: copies, Logger: s.log})
	if err != nil {
		return storedKeys{}, err
	}
	if id.ring, err = keys.Begin(ctx, id.jwks); err != nil {
		return storedKeys{}, settings.Named(err)
	}
	cfg.Tokens.MissingKey = keys.Refresh
	keys.OnRotate(func(ctx context.Context, id string) {
		s.trail.Record(ctx, audit.Event{Name: audit.SigningKeyRotated, KeyID: id})
	})
	return storedKeys{keys}, nil
}

// follow updates everything that signs, verifies and publishes when the keys change.
func (k storedKeys) follow(server *httpapi.Server, stores ...*sessionstore.Store) {
	if k.Store == nil {
		return
	}
	k.OnChange(func(ring *tokens.KeyRing) error {
		server.SetKeys(ring)
		var errs []error
		for _, store := range stores {
			errs = append(errs, store.SetKeys(ring))
		}
		return errors.Join(errs...)
	})
}

func (k storedKeys) maintained() jobs.Keys {
	if k.Store == nil {
		return nil
	}
	return k.Store
}

func (k storedKeys) run(ctx context.Context) error {
	if k.Store == nil {
		<-ctx.Done()
		return nil
	}
	return k.Run(ctx)
}

// described returns what the signing keys are used for, and since when, for metrics. The ring is that of keys in
// a file.
func (k storedKeys) described(ring *tokens.KeyRing) func(context.Context) ([]metrics.SigningKey, error) {
	return func(ctx context.Context) ([]metrics.SigningKey, error) {
		keys, err := k.all(ctx, ring)
		described := make([]metrics.SigningKey, len(keys))
		for i, key := range keys {
			described[i] = metrics.SigningKey{State: metrics.KeyState(key.State), SignsFrom: key.SignsFrom}
		}
		return described, err
	}
}

// all are the keys in PostgreSQL, or else those of the file's ring. For those the time of creation is known if we made
// them: it is in the id.
func (k storedKeys) all(ctx context.Context, ring *tokens.KeyRing) ([]keystore.Key, error) {
	if k.Store != nil {
		return k.List(ctx)
	}
	list := ring.Keys()
	keys := make([]keystore.Key, len(list))
	for i, key := range list {
		keys[i] = keystore.Key{ID: key.ID, Algorithm: key.Algorithm, State: keystore.Verifying}
		if !key.Signs {
			continue
		}
		keys[i].State = keystore.Signing
		if id, err := uuid.Parse(key.ID); err == nil && id.Version() == 7 {
			seconds, nanoseconds := id.Time().UnixTime()
			keys[i].SignsFrom = time.Unix(seconds, nanoseconds)
		}
	}
	return keys, nil
}
