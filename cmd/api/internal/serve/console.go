package serve

import (
	"context"
	"math"
	"os"
	"time"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/internal/console"
	"github.com/latchkey-sessions/latchkey/internal/replicas"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// console returns the operators' page, and the store of their sessions in addition to that of the service. Metrics cover only
// users' sessions.
func (s *service) console(db database.Pools, id identity, sessions console.Sessions, cfg sessionstore.Config, told console.Service) (*console.Console, *sessionstore.Store, error) {
	cfg.Observers = s.trail.Sessions()
	operators, err := sessionstore.New(db.Requests, id.ring, console.StoreConfig(cfg))
	if err != nil {
		return nil, nil, err
	}
	page, err := console.New(console.Config{Sessions: sessions, Own: operators, Pool: db.Requests, Service: told, Audit: s.trail.Record, Logger: s.log})
	return page, operators, err
}

// shown returns what the signing keys are used for, for the page. The ring is that of keys in
// a file.
func (k storedKeys) shown(ring *tokens.KeyRing) func(context.Context) ([]console.Key, error) {
	return func(ctx context.Context) ([]console.Key, error) {
		keys, err := k.all(ctx, ring)
		shown := make([]console.Key, len(keys))
		for i, key := range keys {
			shown[i] = console.Key{ID: key.ID, Algorithm: key.Algorithm, State: string(key.State), SignsFrom: key.SignsFrom, VerifiesUntil: key.VerifiesUntil}
		}
		return shown, err
	}
}

// rotation is how often keys are replaced: those in a file never are.
func (k storedKeys) rotation(interval time.Duration) time.Duration {
	if k.Store == nil {
		return 0
	}
	return interval
}

// replica records this replica for every replica's
// operators' page.
func (s *service) replica(db database.Pools, accept *verifier.Verifier) *replicas.Runner {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	clock := clockOf(accept)
	return replicas.New(replicas.Config{Pool: db.Tasks, Name: name, Version: s.version, Logger: s.log, Facts: func() (facts replicas.Facts) {
		facts.Offset, facts.Uncertainty, facts.IsClockKnown = clock()
		if facts.RevocationsAge = accept.Age(); facts.RevocationsAge == math.MaxInt64 {
			facts.RevocationsAge = -1
		}
		return facts
	}})
}

// clockOf returns how far the clock of this machine is ahead of the database's.
func clockOf(accept *verifier.Verifier) func() (offset, uncertainty time.Duration, known bool) {
	return func() (offset, uncertainty time.Duration, known bool) {
		clock, known := accept.Clock()
		return clock.Offset, clock.Uncertainty, known
	}
}
