package memstore_test

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/memstore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/sessiontest"
)

// onClock is a configuration whose time stands still.
func onClock() (sessionstore.Config, *sessiontest.Clock) {
	clock := sessiontest.NewClock()
	cfg := sessionstore.Config{}
	cfg.Tokens.Now = clock.Now
	return cfg, clock
}

func TestSuite(t *testing.T) {
	t.Parallel()
	sessiontest.Run(t, func(*testing.T) sessiontest.Harness {
		cfg, clock := onClock()
		return sessiontest.Harness{Store: memstore.MustNew(cfg), Advance: clock.Advance}
	})
}
