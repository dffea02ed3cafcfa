package serve

import (
	"context"
	"time"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// storedKeys are the signing keys in PostgreSQL, or none if they are in a file, where they do not change.
type storedKeys struct{ *keystore.Store }

// openKeys fills in the ring, and has the store look for keys that it does not know.
func (s *service) openKeys(ctx context.Context, db database.Pools, id *identity, cfg *sessionstore.Config) (storedKeys, error) {
	if id.ring != nil {
		return storedKeys{}, nil
	}
	kept, err := s.Keystore()
	if err != nil {
		return storedKeys{}, err
	}
	kept.RotateEvery, kept.Direct, kept.Logger = time.Duration(s.KeyRotationInterval), db.Direct, s.log
	keys, err := keystore.New(db.Tasks, kept)
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

// follow has what signs, verifies and publishes change over with the keys.
func (k storedKeys) follow(store *sessionstore.Store, server *httpapi.Server) {
	if k.Store == nil {
		return
	}
	k.OnChange(func(ring *tokens.KeyRing) error {
		server.SetKeys(ring)
		return store.SetKeys(ring)
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
