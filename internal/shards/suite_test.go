package shards_test

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessiontest"
)

// A router is a store like any other.
func TestSuite(t *testing.T) {
	t.Parallel()
	ring := testkeys.Ring(t)
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			if three.frozen == nil {
				t.Skip("there is a suite of its own for it: TestSuiteOnCitus")
			}
			sessiontest.Run(t, func(t *testing.T) sessiontest.Harness {
				t.Helper()
				pools, advance := three.frozen(t)
				return sessiontest.Harness{Store: setup(t, ring, config(), pools...), Advance: advance, KeysOfSubject: true}
			})
		})
	}
}
