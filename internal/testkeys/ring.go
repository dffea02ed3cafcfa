// Package testkeys makes keys for tests: those that sign tokens, and those of clients that prove possession.
package testkeys

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// Ring returns a ring of one new key.
func Ring(tb testing.TB) *tokens.KeyRing {
	tb.Helper()
	key, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		tb.Fatal(err)
	}
	set, err := tokens.AppendKey("", key)
	if err != nil {
		tb.Fatal(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(set))
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}
