package serve

import (
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/internal/console"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// console returns the operators' page, and the store of their sessions beside that of the service. Metrics are of users'
// sessions alone.
func (s *service) console(db database.Pools, id identity, sessions *sessionstore.Store, cfg sessionstore.Config) (*console.Console, *sessionstore.Store, error) {
	cfg.Observers = s.trail.Sessions()
	operators, err := sessionstore.New(db.Requests, id.ring, console.StoreConfig(cfg))
	if err != nil {
		return nil, nil, err
	}
	page, err := console.New(console.Config{Sessions: sessions, Own: operators, Pool: db.Requests, Logger: s.log})
	return page, operators, err
}
