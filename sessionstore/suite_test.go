package sessionstore_test

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessiontest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	ring := testkeys.Ring(t)
	sessiontest.Run(t, func(t *testing.T) sessiontest.Harness {
		t.Helper()
		pools, advance := testdb.Frozen(t, 1)
		return sessiontest.Harness{Store: newStore(t, pools[0], ring, config()), Advance: advance}
	})
}
